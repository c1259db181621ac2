// SPDX-License-Identifier: Apache-2.0
// Shells that call out: command lines and scripts, whole enough not to be the name of a function alone.

rule Reverse_Shell_Dev_Tcp : shell
{
    meta:
        description = "Bash redirected to a TCP connection through /dev/tcp"
        technique = "T1059.004"
        severity = "high"
    strings:
        $redirect = /(bash|sh) -i ?>&? ?\/dev\/(tcp|udp)\/[0-9A-Za-z.-]{4,80}\/[0-9]{1,5}/
        $exec = /exec [0-9]{1,3}<>\/dev\/(tcp|udp)\/[0-9A-Za-z.-]{4,80}\/[0-9]{1,5}/
    condition:
        any of them
}

rule Reverse_Shell_Netcat : shell
{
    meta:
        description = "Netcat that gives a shell to whoever it connects to"
        technique = "T1059.004"
        severity = "high"
    strings:
        $option = /\b(nc|ncat|netcat)(\.traditional|\.openbsd)?[ \x00](-[a-z]{1,6}[ \x00]){0,4}[0-9A-Za-z.-]{4,80}[ \x00][0-9]{1,5}[ \x00](-[a-z]{1,6}[ \x00]){0,2}-(e|c)[ \x00]?(\/bin\/|\/usr\/bin\/)?(ba|da|z|)sh/
        $before = /\b(nc|ncat|netcat)[ \x00](-[a-z]{1,6}[ \x00]){0,4}-(e|c)[ \x00](\/bin\/|\/usr\/bin\/)?(ba|da|z|)sh[ \x00][0-9A-Za-z.-]{4,80}[ \x00][0-9]{1,5}/
        $fifo = /mkfifo [\/0-9A-Za-z._-]{1,60} ?; ?cat [\/0-9A-Za-z._-]{1,60} ?\| ?(\/bin\/)?(ba|)sh -i 2>&1 ?\| ?(nc|ncat|netcat|openssl) /
    condition:
        any of them
}

rule Reverse_Shell_Script : shell
{
    meta:
        description = "One-line connections back in Python, Perl, PHP, Ruby or socat"
        technique = "T1059.006"
        severity = "high"
    strings:
        $python = /socket\.socket\([^\x00]{0,200}\.connect\(\([^\x00]{0,200}os\.dup2\([A-Za-z_]{1,20}\.fileno\(\),0\)/
        $pty = /\.connect\(\([^\x00]{0,400}pty\.spawn\(["']\/?(bin\/)?(ba|z|)sh/
        $perl = /use Socket;[^\x00]{0,300}open\(STDIN,">&[A-Z]{1,8}"\)[^\x00]{0,200}exec\(["']\/bin\/sh -i/
        $php = /fsockopen\(["'][^\x00]{4,80}["'],[0-9]{1,5}\);[^\x00]{0,60}(exec|shell_exec|proc_open|popen|system)\(/
        $ruby = /TCPSocket\.(new|open)\([^\x00]{4,100}exec[^\x00]{0,20}sprintf\("\/bin\/sh -i <&%d >&%d 2>&%d"/
        $socat = /socat[ \x00][^\x00]{0,80}(exec|EXEC|system|SYSTEM):['"]?(\/bin\/)?(ba|)sh[^\x00]{0,80}(tcp|TCP|openssl|OPENSSL)[^\x00]{0,8}:[0-9A-Za-z.-]{4,80}:[0-9]{1,5}/
    condition:
        any of them
}
