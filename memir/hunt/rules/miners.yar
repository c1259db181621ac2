// SPDX-License-Identifier: Apache-2.0
// Cryptocurrency miners in memory: what they say to their pool, how they are started, what they print.

rule Miner_Stratum_Session : miner network
{
    meta:
        description = "JSON-RPC messages between a miner and its pool (Stratum)"
        technique = "T1496.001"
        severity = "high"
    strings:
        $subscribe = /\{"(id|jsonrpc|method|params)":[^\x00\r\n]{0,200}"method": ?"mining\.(subscribe|authorize|submit|notify|set_difficulty)"/
        $login = /"method": ?"login", ?"params": ?\{"login": ?"[0-9A-Za-z.+_-]{20,120}"/
        $job = /"blob": ?"[0-9a-f]{100,400}"[^\x00\r\n]{0,200}"target": ?"[0-9a-f]{8,64}"/
    condition:
        any of them
}

rule Miner_Pool_Address : miner
{
    meta:
        description = "Address of a mining pool as miners take it"
        technique = "T1496.001"
        severity = "high"
    strings:
        $url = /stratum(1|2)?\+(tcp|ssl|tls|udp|ws|wss):\/\/[0-9A-Za-z.-]{4,100}:[0-9]{2,5}/
    condition:
        $url
}

rule Miner_Command_Line : miner
{
    meta:
        description = "Options that only miners of the XMRig family have, as in their arguments"
        technique = "T1496.001"
        severity = "high"
    strings:
        $donate = "\x00--donate-level" ascii
        $coin = /\x00--coin[=\x00](monero|arqma|dero|zephyr|ravencoin)/
        $threads = "\x00--cpu-max-threads-hint" ascii
        $pages = "\x00--randomx-1gb-pages" ascii
        $algo = /\x00(-a|--algo)[=\x00](rx\/0|rx\/wow|cn\/r|cn-heavy\/xhv|kawpow|ghostrider)\x00/
    condition:
        any of them
}

rule Miner_Xmrig_Program : miner
{
    meta:
        description = "XMRig's program text: its banner's format and its configuration's keys together"
        technique = "T1496.001"
        severity = "high"
    strings:
        $name = "XMRig/" ascii
        $donate = "donate-over-proxy" ascii
        $rx = "randomx" ascii nocase
        $huge = "huge-pages-jit" ascii
        $msr = "cpu-max-threads-hint" ascii
    condition:
        $name and 2 of ($donate, $rx, $huge, $msr)
}
