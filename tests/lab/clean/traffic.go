// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"log"
	"net"
	"syscall"
	"time"
)

// queries asks PostgreSQL for its time every 20 seconds, over one connection.
func queries(address string) error {
	link, err := net.DialTimeout("tcp", address, time.Minute)
	if err != nil {
		return err
	}
	defer link.Close()
	words := "user\x00postgres\x00database\x00postgres\x00application_name\x00catalog-api\x00\x00"
	start := binary.BigEndian.AppendUint32(nil, uint32(8+len(words)))
	if _, err := link.Write(append(binary.BigEndian.AppendUint32(start, 196608), words...)); err != nil {
		return err
	}
	reader := bufio.NewReader(link)
	for {
		if err := untilReady(reader); err != nil {
			return err
		}
		time.Sleep(20 * time.Second)
		text := "select now()\x00"
		query := binary.BigEndian.AppendUint32([]byte{'Q'}, uint32(4+len(text)))
		if _, err := link.Write(append(query, text...)); err != nil {
			return err
		}
	}
}

func untilReady(reader *bufio.Reader) error {
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(reader, head); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(reader, body); err != nil {
			return err
		}
		switch head[0] {
		case 'Z':
			return nil
		case 'E':
			return io.ErrUnexpectedEOF
		}
	}
}

// proxy passes on what iptables sends to it: in to the application, out to where it was going.
func proxy() {
	go accept("0.0.0.0:15006", func(net.Conn) (string, error) { return "127.0.0.1:8000", nil })
	go accept("0.0.0.0:15001", originalTarget)
	listen("127.0.0.1:15000", ":15090")
}

func accept(address string, target func(net.Conn) (string, error)) {
	socket, err := net.Listen("tcp4", address)
	if err != nil {
		log.Fatal(err)
	}
	for {
		link, err := socket.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer link.Close()
			where, err := target(link)
			if err != nil {
				log.Print(err)
				return
			}
			other, err := net.DialTimeout("tcp4", where, time.Minute)
			if err != nil {
				log.Print(err)
				return
			}
			defer other.Close()
			go io.Copy(other, link)
			io.Copy(link, other)
		}()
	}
}

// originalTarget asks conntrack (SO_ORIGINAL_DST) where a redirected connection was going.
func originalTarget(link net.Conn) (string, error) {
	raw, err := link.(*net.TCPConn).SyscallConn()
	if err != nil {
		return "", err
	}
	var address *syscall.IPv6Mreq
	var failure error
	err = raw.Control(func(fd uintptr) { address, failure = syscall.GetsockoptIPv6Mreq(int(fd), syscall.IPPROTO_IP, 80) })
	if err == nil {
		err = failure
	}
	if err != nil {
		return "", err
	}
	where := address.Multiaddr
	target := net.TCPAddr{IP: net.IP(where[4:8]), Port: int(binary.BigEndian.Uint16(where[2:4]))}
	return target.String(), nil
}
