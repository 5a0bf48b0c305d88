// Does on a software TPM what go-tpm-tools do, when it is told to: the peer of interop/gotpm/run.ts.
//
// Usage: peer SOCKET COMMAND ARGUMENTS; the message or secret comes on standard input, the answer goes to standard output.
//
//	seal rsa|ecc PCRS              secret -> SealedBytes
//	unseal PCRS                    SealedBytes -> secret, after certifying that PCRS are as they were
//	create-import EK-PEM PCRS      secret -> ImportBlob, for the present values of PCRS
//	import rsa|ecc                 ImportBlob -> secret
//	attest rsa|ecc NONCE LOG       -> Attestation
//	verify AK-PEM NONCE            Attestation -> machine state in text format
//	sev-snp                        report -> Attestation with it
//	tdx                            quote -> Attestation with it
//
// PCRS is a comma list of registers in the SHA-256 bank, or a hyphen.
package main

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	snp "github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/proto/sevsnp"
	tdx "github.com/google/go-tdx-guest/abi"
	tdxpb "github.com/google/go-tdx-guest/proto/tdx"
	"github.com/google/go-tpm-tools/client"
	"github.com/google/go-tpm-tools/proto/attest"
	pb "github.com/google/go-tpm-tools/proto/tpm"
	"github.com/google/go-tpm-tools/server"
	"github.com/google/go-tpm/legacy/tpm2"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

func main() {
	input, err := io.ReadAll(os.Stdin)
	check(err)
	output, err := run(os.Args[1], os.Args[2], os.Args[3:], input)
	check(err)
	_, err = os.Stdout.Write(output)
	check(err)
}

func run(socket, command string, args []string, input []byte) ([]byte, error) {
	switch command {
	case "verify":
		return verify(args[0], args[1], input)
	case "sev-snp":
		return snpReport(input)
	case "tdx":
		return tdxQuote(input)
	}
	tpm, err := tpm2.OpenTPM(socket)
	if err != nil {
		return nil, err
	}
	defer tpm.Close()
	switch command {
	case "seal":
		return seal(tpm, args[0], args[1], input)
	case "unseal":
		return unseal(tpm, args[0], input)
	case "create-import":
		return createImport(tpm, args[0], args[1], input)
	case "import":
		return importBlob(tpm, args[0], input)
	case "attest":
		return attestBoot(tpm, args[0], args[1], args[2])
	}
	return nil, fmt.Errorf("unknown command %q", command)
}

func seal(tpm io.ReadWriter, algorithm, pcrs string, secret []byte) ([]byte, error) {
	srk, err := storageKey(tpm, algorithm)
	if err != nil {
		return nil, err
	}
	defer srk.Close()
	sealed, err := srk.Seal(secret, client.SealOpts{Current: selection(pcrs)})
	if err != nil {
		return nil, err
	}
	return proto.Marshal(sealed)
}

func unseal(tpm io.ReadWriter, pcrs string, message []byte) ([]byte, error) {
	sealed := &pb.SealedBytes{}
	if err := proto.Unmarshal(message, sealed); err != nil {
		return nil, err
	}
	srk, err := storageKey(tpm, strings.ToLower(sealed.GetSrk().String()))
	if err != nil {
		return nil, err
	}
	defer srk.Close()
	return srk.Unseal(sealed, client.UnsealOpts{CertifyCurrent: selection(pcrs)})
}

func createImport(tpm io.ReadWriter, keyFile, pcrs string, secret []byte) ([]byte, error) {
	key, err := publicKey(keyFile)
	if err != nil {
		return nil, err
	}
	var condition *pb.PCRs
	if pcrs != "-" {
		if condition, err = client.ReadPCRs(tpm, selection(pcrs)); err != nil {
			return nil, err
		}
	}
	blob, err := server.CreateImportBlob(key, secret, condition)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(blob)
}

func importBlob(tpm io.ReadWriter, algorithm string, message []byte) ([]byte, error) {
	blob := &pb.ImportBlob{}
	if err := proto.Unmarshal(message, blob); err != nil {
		return nil, err
	}
	create := client.EndorsementKeyRSA
	if algorithm == "ecc" {
		create = client.EndorsementKeyECC
	}
	ek, err := create(tpm)
	if err != nil {
		return nil, err
	}
	defer ek.Close()
	return ek.Import(blob)
}

func attestBoot(tpm io.ReadWriter, algorithm, nonce, logFile string) ([]byte, error) {
	create := client.AttestationKeyRSA
	if algorithm == "ecc" {
		create = client.AttestationKeyECC
	}
	ak, err := create(tpm)
	if err != nil {
		return nil, err
	}
	defer ak.Close()
	log, err := os.ReadFile(logFile)
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(nonce)
	if err != nil {
		return nil, err
	}
	attestation, err := ak.Attest(client.AttestOpts{Nonce: raw, TCGEventLog: log, SkipTeeAttestation: true})
	if err != nil {
		return nil, err
	}
	return proto.Marshal(attestation)
}

func verify(keyFile, nonce string, message []byte) ([]byte, error) {
	key, err := publicKey(keyFile)
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(nonce)
	if err != nil {
		return nil, err
	}
	attestation := &attest.Attestation{}
	if err := proto.Unmarshal(message, attestation); err != nil {
		return nil, err
	}
	options := server.VerifyOpts{Nonce: raw, TrustedAKs: []crypto.PublicKey{key}, Loader: server.GRUB}
	state, err := server.VerifyAttestation(attestation, options)
	if err != nil {
		return nil, err
	}
	return prototext.Marshal(state)
}

func snpReport(raw []byte) ([]byte, error) {
	report, err := snp.ReportToProto(raw)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&attest.Attestation{
		TeeAttestation: &attest.Attestation_SevSnpAttestation{SevSnpAttestation: &sevsnp.Attestation{Report: report}},
	})
}

func tdxQuote(raw []byte) ([]byte, error) {
	quote, err := tdx.QuoteToProto(raw)
	if err != nil {
		return nil, err
	}
	v4, ok := quote.(*tdxpb.QuoteV4)
	if !ok {
		return nil, errors.New("not of version 4")
	}
	return proto.Marshal(&attest.Attestation{
		TeeAttestation: &attest.Attestation_TdxAttestation{TdxAttestation: v4},
	})
}

func storageKey(tpm io.ReadWriter, algorithm string) (*client.Key, error) {
	if algorithm == "ecc" {
		return client.StorageRootKeyECC(tpm)
	}
	return client.StorageRootKeyRSA(tpm)
}

func selection(pcrs string) tpm2.PCRSelection {
	chosen := tpm2.PCRSelection{Hash: tpm2.AlgSHA256}
	if pcrs == "-" {
		return chosen
	}
	for _, text := range strings.Split(pcrs, ",") {
		pcr, err := strconv.Atoi(text)
		check(err)
		chosen.PCRs = append(chosen.PCRs, pcr)
	}
	return chosen
}

func publicKey(file string) (crypto.PublicKey, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New("no PEM")
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
