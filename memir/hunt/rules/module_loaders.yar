// SPDX-License-Identifier: Apache-2.0
// Programs and scripts that bring code into the kernel, and rootkits' known words.

rule Module_Loader_Script : kernel
{
    meta:
        description = "A module loaded from a place that no distribution keeps modules in"
        technique = "T1547.006"
        severity = "high"
    strings:
        $insmod = /\binsmod[ \x00](-f[ \x00])?(\/tmp|\/dev\/shm|\/var\/tmp|\/run|\/root|\/proc\/[0-9]{1,7}\/fd|\.)\/[0-9A-Za-z._\/-]{1,80}\.ko\b/
        $persist = /echo ["']?[0-9A-Za-z_]{2,40}["']? ?>>? ?\/etc\/(modules|modules-load\.d\/[0-9A-Za-z._-]{1,60})/
    condition:
        any of them
}

rule Module_Loader_Program : kernel
{
    meta:
        description = "A program that holds a kernel module and loads it from memory"
        technique = "T1547.006"
        severity = "high"
    strings:
        $vermagic = /vermagic=[0-9]\.[0-9]{1,2}\.[0-9]{1,3}[0-9A-Za-z.+_-]{0,60} (SMP )?(preempt |mod_unload |modversions )/
        $init = "init_module" ascii fullword
        $finit = "finit_module" ascii fullword
        $failed = /(insmod|init_module|load(ing)? module)[^\x00\n]{0,40}(failed|error|%s)/ nocase
        $elf = { 7f 45 4c 46 02 01 01 00 00 00 00 00 00 00 00 00 01 00 }
    condition:
        $vermagic and $elf and ($init or $finit) and $failed
}

rule Rootkit_Words : kernel rootkit
{
    meta:
        description = "Names that public Linux rootkits give their parts"
        technique = "T1014"
        severity = "high"
    strings:
        $diamorphine = "diamorphine_init" ascii fullword
        $diamorphine2 = "diamorphine_secret" ascii fullword
        $reptile = "reptile_init" ascii fullword
        $reptile2 = "/reptile/reptile_cmd" ascii
        $suterusu = "suterusu" ascii fullword
        $adore = "adore-ng" ascii fullword
        $kbeast = "h1dd3n_ipsec" ascii
        $hook = "hacked_getdents64" ascii fullword
        $hook2 = "hook_getdents64" ascii fullword
        $bpf = "ebpfkit" ascii fullword
        $tripp = "TripleCross" ascii fullword
    condition:
        any of them
}
