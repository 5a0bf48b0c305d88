// Verifies one SNP report and one TDX quote with Google's libraries, for as long as it is told.
//
// Reads the inputs from the file named by the first argument, then commands from standard input: the name of a case
// and a number of milliseconds. Answers each with one line of JSON.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	sevabi "github.com/google/go-sev-guest/abi"
	spb "github.com/google/go-sev-guest/proto/sevsnp"
	sevverify "github.com/google/go-sev-guest/verify"
	tdxverify "github.com/google/go-tdx-guest/verify"
)

type inputs struct {
	At         time.Time
	SnpReport  []byte
	Vcek       []byte
	Quote      []byte
	IntelRoot  []byte
	PckChain   string
	TcbInfo    []byte
	QeIdentity []byte
	TcbChain   string
	PckCrl     []byte
	RootCrl    []byte
}

// collateral answers from memory in place of Intel's service.
type collateral struct{ in *inputs }

func (c collateral) Get(url string) (map[string][]string, []byte, error) {
	switch {
	case strings.Contains(url, "/tcb?"):
		return map[string][]string{"Tcb-Info-Issuer-Chain": {c.in.TcbChain}}, c.in.TcbInfo, nil
	case strings.Contains(url, "/qe/identity"):
		return map[string][]string{"Sgx-Enclave-Identity-Issuer-Chain": {c.in.TcbChain}}, c.in.QeIdentity, nil
	case strings.Contains(url, "/pckcrl"):
		return map[string][]string{"Sgx-Pck-Crl-Issuer-Chain": {c.in.PckChain}}, c.in.PckCrl, nil
	case strings.Contains(url, "RootCA"):
		return nil, c.in.RootCrl, nil
	}
	return nil, nil, fmt.Errorf("no answer for %s", url)
}

func snp(in *inputs) func() error {
	return func() error {
		report, err := sevabi.ReportToProto(in.SnpReport)
		if err != nil {
			return err
		}
		attestation := &spb.Attestation{Report: report, CertificateChain: &spb.CertificateChain{VcekCert: in.Vcek}}
		options := &sevverify.Options{DisableCertFetching: true, Now: in.At}
		return sevverify.SnpAttestation(attestation, options)
	}
}

func tdx(in *inputs, full bool) func() error {
	root, err := x509.ParseCertificate(in.IntelRoot)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return func() error {
		options := &tdxverify.Options{Now: in.At, TrustedRoots: pool, Getter: collateral{in}, GetCollateral: full, CheckRevocations: full}
		return tdxverify.RawTdxQuote(in.Quote, options)
	}
}

func main() {
	file, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	in := &inputs{}
	if err := json.Unmarshal(file, in); err != nil {
		panic(err)
	}
	cases := map[string]func() error{"snp": snp(in), "tdx": tdx(in, true), "tdx-without-collateral": tdx(in, false)}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var name string
		var ms int
		fmt.Sscan(lines.Text(), &name, &ms)
		run(cases[name], time.Duration(ms)*time.Millisecond)
	}
}

func run(verify func() error, span time.Duration) {
	var micros []float64
	started := time.Now()
	for time.Since(started) < span {
		before := time.Now()
		if err := verify(); err != nil {
			fmt.Printf("{\"error\":%q}\n", err.Error())
			return
		}
		micros = append(micros, float64(time.Since(before).Nanoseconds())/1000)
	}
	sort.Float64s(micros)
	fmt.Printf("{\"median\":%f,\"p99\":%f}\n", micros[len(micros)/2], micros[len(micros)*99/100])
}
