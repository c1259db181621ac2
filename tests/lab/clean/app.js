// SPDX-License-Identifier: Apache-2.0
// a session store: heap strings, a typed array, code that the compiler finds hot
const fs = require('fs'), http = require('http');
const sessions = new Map();
for (let i = 0; i < 3000; i++) sessions.set('sid-' + i, {user: 'user' + i + '@example.com', cart: [i, i * 2, i * 3]});
const key = Buffer.from('session-signing-' + process.env.SESSION_KEY);
let sum = 0;
for (let round = 0; round < 50; round++) for (const one of sessions.values()) sum += one.cart[1];
setInterval(() => { for (const one of sessions.values()) sum += one.cart[2]; }, 5000);
http.createServer((request, response) => response.end('ok ' + sessions.size + ' ' + key.length + ' ' + sum))
  .listen(3000, () => fs.writeFileSync('/tmp/ready', 'yes'));
