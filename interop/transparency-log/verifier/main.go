// Verifies a log that vouchsafe wrote with what Go's checksum database and Certificate Transparency use:
// golang.org/x/mod/sumdb/note for checkpoints, github.com/transparency-dev/merkle for the tree.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

type logFile struct {
	LogKey      string
	Entries     []string
	Checkpoints []string
	Proofs      struct {
		Inclusion []struct {
			Index, Size uint64
			Proof       [][]byte
		}
		Consistency []struct {
			Earlier, Later uint64
			Proof          [][]byte
		}
	}
}

func main() {
	raw, err := os.ReadFile(os.Args[1])
	must(err)
	var log logFile
	must(json.Unmarshal(raw, &log))
	verifier, err := note.NewVerifier(log.LogKey)
	must(err)

	hasher := rfc6962.DefaultHasher
	tree := (&compact.RangeFactory{Hash: hasher.HashChildren}).NewEmptyRange(0)
	roots := map[uint64][]byte{}
	for i, checkpoint := range log.Checkpoints {
		size, root := open(checkpoint, verifier)
		must(tree.Append(hasher.HashLeaf([]byte(log.Entries[i])), nil))
		computed, err := tree.GetRootHash(nil)
		must(err)
		if size != uint64(i+1) || !bytes.Equal(root, computed) {
			must(fmt.Errorf("checkpoint %d: size %d, root %x, computed %x", i, size, root, computed))
		}
		roots[size] = root
	}
	for _, p := range log.Proofs.Inclusion {
		leaf := hasher.HashLeaf([]byte(log.Entries[p.Index]))
		must(proof.VerifyInclusion(hasher, p.Index, p.Size, leaf, p.Proof, roots[p.Size]))
	}
	for _, p := range log.Proofs.Consistency {
		must(proof.VerifyConsistency(hasher, p.Earlier, p.Later, p.Proof, roots[p.Earlier], roots[p.Later]))
	}
	fmt.Printf("%d checkpoints, %d inclusion and %d consistency proofs\n",
		len(log.Checkpoints), len(log.Proofs.Inclusion), len(log.Proofs.Consistency))
}

func open(checkpoint string, verifier note.Verifier) (uint64, []byte) {
	opened, err := note.Open([]byte(checkpoint), note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseUint(lines[1], 10, 64)
	must(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	must(err)
	return size, root
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
