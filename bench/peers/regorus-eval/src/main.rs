//! Measures regorus on the benchmark policies: a line of JSON in, a line of JSON out. `regorus-eval engine|vm`.

use std::io::{self, BufRead, Write};
use std::time::{Duration, Instant};

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine, Rc, Value};
use serde_json::{json, Value as Json};

type Failure = Box<dyn std::error::Error>;

/// One policy and input, ready to be asked: by the interpreter, or by the virtual machine for compiled policies.
enum Prepared {
    Engine(Box<Engine>, String, Value),
    Vm(Box<RegoVM>, Value),
}

impl Prepared {
    fn evaluate(&mut self) -> Result<Value, Failure> {
        match self {
            Self::Engine(engine, query, input) => {
                engine.set_input(input.clone());
                Ok(engine.eval_rule(query.clone())?)
            }
            Self::Vm(vm, input) => {
                vm.set_input(input.clone());
                Ok(vm.execute()?)
            }
        }
    }
}

fn main() -> Result<(), Failure> {
    let compiled = std::env::args().nth(1).as_deref() == Some("vm");
    let mut all = Vec::new();
    for line in io::stdin().lock().lines() {
        let request: Json = serde_json::from_str(&line?)?;
        let answer = if request["policy"].is_string() {
            prepare(&request, compiled, &mut all)
                .unwrap_or_else(|e| json!({ "id": -1, "error": e.to_string() }))
        } else {
            let at = request["id"].as_u64().ok_or("no id")? as usize;
            run(&mut all[at], request["ms"].as_u64().ok_or("no time")?)?
        };
        println!("{answer}");
        io::stdout().flush()?;
    }
    Ok(())
}

fn prepare(request: &Json, compiled: bool, all: &mut Vec<Prepared>) -> Result<Json, Failure> {
    let text = |name: &str| request[name].as_str().ok_or("a member is missing");
    let policy = std::fs::read_to_string(text("policy")?)?;
    let data = Value::from_json_file(text("data")?)?;
    let input = Value::from_json_file(text("input")?)?;
    let query = text("query")?.to_string();

    let start = Instant::now();
    let mut engine = Engine::new();
    engine.add_policy("policy.rego".to_string(), policy)?;
    engine.add_data(data.clone())?;
    let mut prepared = if compiled {
        let entry: Rc<str> = query.as_str().into();
        let program =
            Compiler::compile_from_policy(&engine.compile_with_entrypoint(&entry)?, &[&query])?;
        let mut vm = RegoVM::new();
        vm.load_program(program);
        vm.set_data(data)?;
        Prepared::Vm(Box::new(vm), input)
    } else {
        Prepared::Engine(Box::new(engine), query, input)
    };
    let value = prepared.evaluate()?;
    let took = start.elapsed();
    all.push(prepared);
    let json: Json = if value == Value::Undefined {
        Json::Null
    } else {
        serde_json::from_str(&value.to_json_str()?)?
    };
    Ok(json!({ "id": all.len() - 1, "value": json, "prepareMs": took.as_secs_f64() * 1e3 }))
}

fn run(prepared: &mut Prepared, ms: u64) -> Result<Json, Failure> {
    let mut micros = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(ms) || micros.len() < 3 {
        let start = Instant::now();
        prepared.evaluate()?;
        micros.push(start.elapsed().as_secs_f64() * 1e6);
    }
    micros.sort_by(f64::total_cmp);
    Ok(
        json!({ "id": 0, "median": micros[micros.len() / 2], "p99": micros[micros.len() * 99 / 100] }),
    )
}
