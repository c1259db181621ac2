// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// csi is a node plugin: a socket in the kubelet's folder, and a mount there that the node sees.
func csi() {
	const folder, socket = "/var/lib/kubelet/plugins/kubernetes.io/csi/ebs/globalmount", "/csi/csi.sock"
	if err := os.MkdirAll(folder, 0o750); err != nil {
		log.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=1m"); err != nil {
		log.Fatal(err)
	}
	os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	go listen("127.0.0.1:9808")
	for {
		link, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go io.Copy(io.Discard, link)
	}
}

// registrar keeps a connection to the plugin beside it.
func registrar() {
	for {
		link, err := net.Dial("unix", "/csi/csi.sock")
		if err == nil {
			for err == nil {
				_, err = link.Write([]byte("GetInfo\n"))
				time.Sleep(30 * time.Second)
			}
			link.Close()
		}
		log.Print(err)
		time.Sleep(5 * time.Second)
	}
}

// nodeAgent reads what every process of the node runs, and asks the runtime, as agents for metrics and security do.
func nodeAgent() {
	runtime, err := net.Dial("unix", "/host/run/containerd/containerd.sock")
	if err != nil {
		log.Print(err)
	} else {
		runtime.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	}
	metrics, err := net.ListenPacket("udp", ":8125")
	if err != nil {
		log.Fatal(err)
	}
	go io.Copy(io.Discard, metrics.(io.Reader))
	go listen("127.0.0.1:5001")
	for {
		seen := map[string][]byte{}
		for _, kind := range []string{"stat", "cmdline", "environ", "cgroup"} {
			paths, _ := filepath.Glob("/host/proc/[0-9]*/" + kind)
			for _, path := range paths {
				seen[path], _ = os.ReadFile(path)
			}
		}
		log.Printf("%d files of processes", len(seen))
		time.Sleep(time.Minute)
	}
}
