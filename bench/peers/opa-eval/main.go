// Measures OPA's Go evaluator on the benchmark policies: a line of JSON in, a line of JSON out.
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

// request prepares a query (Policy is set) or runs a prepared one for so many milliseconds.
type request struct {
	Policy string `json:"policy"`
	Query  string `json:"query"`
	Data   string `json:"data"`
	Input  string `json:"input"`
	ID     int    `json:"id"`
	MS     int    `json:"ms"`
}

type answer struct {
	ID        int     `json:"id"`
	Value     any     `json:"value,omitempty"`
	PrepareMS float64 `json:"prepareMs,omitempty"`
	HeapMiB   float64 `json:"heapMiB,omitempty"`
	Median    float64 `json:"median,omitempty"`
	P99       float64 `json:"p99,omitempty"`
}

type prepared struct {
	query rego.PreparedEvalQuery
	input ast.Value
}

var all []prepared

func main() {
	requests := bufio.NewReaderSize(os.Stdin, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for {
		line, err := requests.ReadBytes('\n')
		if len(line) > 0 {
			var r request
			check(json.Unmarshal(line, &r))
			if r.Policy != "" {
				check(answers.Encode(prepare(r)))
			} else {
				check(answers.Encode(run(r)))
			}
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

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

func read(name string) []byte {
	b, err := os.ReadFile(name)
	check(err)
	return b
}

func prepare(r request) answer {
	ctx := context.Background()
	var data map[string]any
	check(json.Unmarshal(read(r.Data), &data))
	file, err := os.Open(r.Input)
	check(err)
	defer file.Close()
	input, err := ast.ValueFromReader(file)
	check(err)
	text := string(read(r.Policy))

	before := heap()
	start := time.Now()
	query, err := rego.New(
		rego.Query(r.Query),
		rego.Module("policy.rego", text),
		rego.Store(inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true))),
	).PrepareForEval(ctx)
	check(err)
	took := float64(time.Since(start).Microseconds()) / 1000
	all = append(all, prepared{query, input})
	out := answer{ID: len(all) - 1, PrepareMS: took, HeapMiB: heap() - before}
	if result, err := query.Eval(ctx, rego.EvalParsedInput(input)); err != nil {
		check(err)
	} else if len(result) > 0 && len(result[0].Expressions) > 0 {
		out.Value = result[0].Expressions[0].Value
	}
	return out
}

func run(r request) answer {
	ctx := context.Background()
	p := all[r.ID]
	var micros []float64
	begin := time.Now()
	for time.Since(begin) < time.Duration(r.MS)*time.Millisecond || len(micros) < 3 {
		start := time.Now()
		_, err := p.query.Eval(ctx, rego.EvalParsedInput(p.input))
		check(err)
		micros = append(micros, float64(time.Since(start).Nanoseconds())/1000)
	}
	sort.Float64s(micros)
	return answer{ID: r.ID, Median: micros[len(micros)/2], P99: micros[len(micros)*99/100]}
}
