// SPDX-License-Identifier: Apache-2.0

// The Go programs of the second clean node in one binary, by the name that it is called with: a web service, a service
// mesh's agent and proxy, a CNI and a CSI plugin, an agent of the node. Each does what its model does all day.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

var programs = map[string]func(){
	"catalog-api": service, "pilot-agent": pilot, "envoy": proxy, "aws-k8s-agent": cni,
	"aws-ebs-csi-driver": csi, "csi-node-driver-registrar": registrar, "agent": nodeAgent,
}

func main() {
	program, known := programs[filepath.Base(os.Args[0])]
	if !known {
		log.Fatalf("%s is none of the programs", os.Args[0])
	}
	program()
}

// listen serves HTTP on each address; the last one until the end.
func listen(addresses ...string) {
	for number, address := range addresses {
		serve := func() {
			log.Fatal(http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintln(w, "ok", r.URL.Path)
			})))
		}
		if number == len(addresses)-1 {
			serve()
		}
		go serve()
	}
}

// service answers on 8080, with a connection to the database and a cache.
func service() {
	cache := map[string]string{}
	for number := range 20000 {
		cache[fmt.Sprintf("sku-%06d", number)] = fmt.Sprintf("article %d, %d cents", number, number*7%9973)
	}
	go func() {
		for {
			if err := queries(net.JoinHostPort(os.Getenv("DB_HOST"), "5432")); err != nil {
				log.Printf("database: %v", err)
			}
			time.Sleep(10 * time.Second)
		}
	}()
	http.HandleFunc("/sku", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, cache[r.URL.Query().Get("id")])
	})
	listen(":8080")
}

// pilot starts the proxy and answers the kubelet's probes, as the first process of a mesh's sidecar does.
func pilot() {
	command := exec.Command(
		"/usr/local/bin/envoy", "-c", "/etc/istio/proxy/envoy-rev.json", "--drain-time-s", "45", "--concurrency", "2",
	)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Start(); err != nil {
		log.Fatal(err)
	}
	go listen(":15020", ":15021")
	log.Fatal(command.Wait())
}

// cni keeps an address pool, as the VPC CNI's daemon does.
func cni() {
	go func() {
		for {
			links, _ := net.Interfaces()
			text := fmt.Sprintf("{\"version\":\"vpc-cni-ipam/1\",\"links\":%d}\n", len(links))
			if err := os.WriteFile("/var/run/aws-node/ipam.json", []byte(text), 0o600); err != nil {
				log.Print(err)
			}
			time.Sleep(30 * time.Second)
		}
	}()
	listen("127.0.0.1:50051", ":61678")
}
