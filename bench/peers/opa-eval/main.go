// Measures OPA's Go evaluator on the benchmark policies: one line of JSON per request read from standard input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sort"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

type request struct {
	Policy  string `json:"policy"`
	Query   string `json:"query"`
	Data    string `json:"data"`
	Input   string `json:"input"`
	Rounds  int    `json:"rounds"`
	RoundMS int    `json:"roundMs"`
}

type answer struct {
	Value     any     `json:"value,omitempty"`
	Undefined bool    `json:"undefined,omitempty"`
	PrepareMS float64 `json:"prepareMs"`
	Micros    float64 `json:"micros"`
	P99Micros float64 `json:"p99Micros"`
	HeapMiB   float64 `json:"heapMiB"`
}

func main() {
	requests := bufio.NewReader(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for {
		line, err := requests.ReadBytes('\n')
		if len(line) > 0 {
			var r request
			check(json.Unmarshal(line, &r))
			check(answers.Encode(measure(r)))
		}
		if err != nil {
			return
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(name string) []byte {
	b, err := os.ReadFile(name)
	check(err)
	return b
}

func measure(r request) answer {
	ctx := context.Background()
	var data map[string]any
	check(json.Unmarshal(read(r.Data), &data))
	input, err := ast.ValueFromReader(bufio.NewReader(mustOpen(r.Input)))
	check(err)
	text := string(read(r.Policy))

	start := time.Now()
	query, err := rego.New(
		rego.Query(r.Query),
		rego.Module("policy.rego", text),
		rego.Store(inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true))),
	).PrepareForEval(ctx)
	check(err)
	out := answer{PrepareMS: float64(time.Since(start).Microseconds()) / 1000}

	eval := func() rego.ResultSet {
		result, err := query.Eval(ctx, rego.EvalParsedInput(input))
		check(err)
		return result
	}
	if result := eval(); len(result) > 0 && len(result[0].Expressions) > 0 {
		out.Value = result[0].Expressions[0].Value
	} else {
		out.Undefined = true
	}
	var all []float64
	for range r.Rounds {
		n := 0
		begin := time.Now()
		for time.Since(begin) < time.Duration(r.RoundMS)*time.Millisecond {
			one := time.Now()
			eval()
			all = append(all, float64(time.Since(one).Nanoseconds())/1000)
			n++
		}
		micros := float64(time.Since(begin).Nanoseconds()) / 1000 / float64(n)
		if out.Micros == 0 || micros < out.Micros {
			out.Micros = micros
		}
	}
	sort.Float64s(all)
	if len(all) > 0 {
		out.P99Micros = all[len(all)*99/100]
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	out.HeapMiB = float64(m.HeapAlloc) / (1 << 20)
	return out
}

func mustOpen(name string) *os.File {
	f, err := os.Open(name)
	check(err)
	return f
}
