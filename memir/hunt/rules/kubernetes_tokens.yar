// SPDX-License-Identifier: Apache-2.0
// Tokens and keys of Kubernetes. Tagged `secret`: what they match is shown masked unless asked for, with a hash of the
// part that the regular expression in `secret` finds from the match on. YARA itself matches 1,024 bytes at most, where
// tokens may still be alike; that part goes on to the secret's end, so that equal hashes mean equal secrets.

rule Kubernetes_Service_Account_Token : secret token
{
    meta:
        description = "A service account's JSON web token: its header, and a payload that begins with audience or issuer"
        technique = "T1528"
        severity = "medium"
        secret = "eyJ[0-9A-Za-z_-]{10,}\\.eyJ[0-9A-Za-z_-]{10,}\\.[0-9A-Za-z_-]{86,}"
    strings:
        // {"alg":"RS256", (or another signature with RSA or ECDSA) and then {"aud": or {"iss": in base64
        $token = /eyJhbGciOiJ[SFQ]Uz(I1Ni|M4NC|UxMi)Is[0-9A-Za-z_-]{10,300}\.eyJ(hdWQiO|pc3MiO)[0-9A-Za-z_-]{100}/
    condition:
        $token
}

rule Kubernetes_Token_Used_From_Shell : secret token
{
    meta:
        description = "A token handed to curl, wget or kubectl on a command line"
        technique = "T1552.007"
        severity = "high"
        secret = "eyJ[0-9A-Za-z_-]{10,}\\.eyJ[0-9A-Za-z_-]{10,}\\.[0-9A-Za-z_-]{86,}"
    strings:
        $header = /(curl|wget)[ \x00][^\x00]{0,400}Authorization: ?Bearer eyJhbGciOi/
        $spaced = /(curl|wget)\x00([^\x00]{1,120}\x00){0,12}Authorization: ?Bearer eyJhbGciOi/
        $kubectl = /kubectl([ \x00][^ \x00]{1,120}){0,12}[ \x00]--token[= \x00]eyJhbGciOi/
    condition:
        any of them
}

rule Kubernetes_Token_Read_From_Shell : token
{
    meta:
        description = "A command that prints the service account's token"
        technique = "T1552.007"
        severity = "high"
    strings:
        $read = /cat[ \x00]\/(var\/)?run\/secrets\/kubernetes\.io\/serviceaccount\/token/
    condition:
        $read
}

rule Kubernetes_Kubeconfig_Key : secret
{
    meta:
        description = "A kubeconfig with a client's private key in it"
        technique = "T1552.001"
        severity = "medium"
        secret = "LS0tLS1CRUdJTi[0-9A-Za-z+/]{100,}={0,2}"
    strings:
        // "-----BEGIN" in base64
        $key = /client-key-data: ?LS0tLS1CRUdJTi[0-9A-Za-z+\/]{100}/
    condition:
        $key
}
