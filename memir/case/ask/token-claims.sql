-- SPDX-License-Identifier: Apache-2.0
-- 31. Whose is each token, for whom, until when, and does it still work?
-- tables: secrets
select distinct subject, audience, expires, valid, fingerprint, claims
from secrets
where kind = 'token'
order by expires desc nulls last, subject
