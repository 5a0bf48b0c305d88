// Verifies one recorded attestation with go-tpm-tools, when it is told to: the peer of bench/eventlog.ts.
//
// Usage: gotpm-verify FILE NONCE-HEX; then lines on standard input, each answered by one line of JSON:
// "state" gives the machine state, "verify MILLISECONDS" how fast attestations were verified in that time.
package main

import (
	"bufio"
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-tpm-tools/proto/attest"
	"github.com/google/go-tpm-tools/server"
	"github.com/google/go-tpm/legacy/tpm2"
	"google.golang.org/protobuf/proto"
)

// Microseconds that one verification takes: on the clock, and of processor time in all threads.
type slice struct {
	Median    float64 `json:"median"`
	Processor float64 `json:"processor"`
}

type machine struct {
	// attest.MachineState in protobuf's binary form, base64.
	State string `json:"state"`
}

func main() {
	raw, err := os.ReadFile(os.Args[1])
	check(err)
	nonce, err := hex.DecodeString(os.Args[2])
	check(err)
	trusted := attestationKey(raw)
	answers := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		command, argument, _ := strings.Cut(lines.Text(), " ")
		switch command {
		case "state":
			state, err := verify(raw, nonce, trusted)
			check(err)
			encoded, err := proto.Marshal(state)
			check(err)
			check(answers.Encode(machine{base64.StdEncoding.EncodeToString(encoded)}))
		case "verify":
			milliseconds, err := strconv.Atoi(argument)
			check(err)
			check(answers.Encode(measure(raw, nonce, trusted, time.Duration(milliseconds)*time.Millisecond)))
		default:
			check(fmt.Errorf("no command %q", command))
		}
	}
	check(lines.Err())
}

func measure(raw, nonce []byte, trusted crypto.PublicKey, duration time.Duration) slice {
	var micros []float64
	start, used := time.Now(), processorTime()
	for now := start; now.Sub(start) < duration; {
		_, err := verify(raw, nonce, trusted)
		check(err)
		after := time.Now()
		micros = append(micros, float64(after.Sub(now).Nanoseconds())/1000)
		now = after
	}
	sort.Float64s(micros)
	return slice{micros[len(micros)/2], float64(processorTime()-used) / float64(len(micros))}
}

// processorTime is that of this process, in microseconds.
func processorTime() int64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return (usage.Utime.Nano() + usage.Stime.Nano()) / 1000
}

// verify goes from the bytes of the message to the machine state, trusting one key, as our side does.
func verify(raw, nonce []byte, trusted crypto.PublicKey) (*attest.MachineState, error) {
	attestation := &attest.Attestation{}
	if err := proto.Unmarshal(raw, attestation); err != nil {
		return nil, err
	}
	return server.VerifyAttestation(attestation, server.VerifyOpts{
		Nonce:      nonce,
		TrustedAKs: []crypto.PublicKey{trusted},
		Loader:     server.GRUB,
		HashAlgo:   tpm2.AlgSHA256,
	})
}

func attestationKey(raw []byte) crypto.PublicKey {
	attestation := &attest.Attestation{}
	check(proto.Unmarshal(raw, attestation))
	public, err := tpm2.DecodePublic(attestation.GetAkPub())
	check(err)
	key, err := public.Key()
	check(err)
	return key
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
