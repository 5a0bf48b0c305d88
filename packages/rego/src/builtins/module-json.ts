import type {
  Body,
  Comprehension,
  Expr,
  Head,
  Import,
  Module,
  Package,
  RefTerm,
  Rule,
  TemplatePart,
  Term,
  With,
} from '../syntax/ast.ts'
import { newRecord, numberFromText, type MutableRecord, type Value } from '../value/index.ts'

/** Syntax trees of modules in the shape of OPA's JSON, without locations. */

function record(members: Readonly<Record<string, Value | undefined>>): MutableRecord {
  const out = newRecord()
  for (const [name, v] of Object.entries(members)) if (v !== undefined) out[name] = v
  return out
}

function typed(type: string, value?: Value): Value {
  return record({ type, value })
}

function termToJson(t: Term): Value {
  switch (t.kind) {
    case 'null':
      return typed('null', record({}))
    case 'boolean':
    case 'string':
      return typed(t.kind, t.value)
    case 'number':
      return typed('number', numberFromText(t.text) ?? 0)
    case 'var':
      return typed('var', t.name)
    case 'ref':
      return typed('ref', refPath(t))
    case 'call':
      return typed('call', [termToJson(t.op), ...t.args.map(termToJson)])
    case 'array':
    case 'set':
      return typed(t.kind, t.items.map(termToJson))
    case 'object':
      return typed(
        'object',
        t.entries.map(([k, v]) => [termToJson(k), termToJson(v)]),
      )
    case 'template':
      return typed('templatestring', record({ multi_line: t.raw, parts: t.parts.map(partToJson) }))
    default:
      return comprehensionToJson(t)
  }
}

function refPath(t: RefTerm): Value {
  return [termToJson(t.head), ...t.path.map(termToJson)]
}

function partToJson(part: TemplatePart): Value {
  return 'text' in part ? typed('string', part.text) : exprToJson(part.expr, 0)
}

function comprehensionToJson(t: Comprehension): Value {
  const type = t.kind.replaceAll('-', '')
  const body = bodyToJson(t.body)
  if (t.kind !== 'object-comprehension') return typed(type, record({ term: termToJson(t.term), body }))
  return typed(type, record({ key: termToJson(t.key), value: termToJson(t.value), body }))
}

function bodyToJson(body: Body): Value {
  return body.map(exprToJson)
}

function exprToJson(e: Expr, index: number): Value {
  return record({
    index,
    terms: termsOf(e),
    negated: e.negated ? true : undefined,
    with: e.with.length === 0 ? undefined : e.with.map(withToJson),
  })
}

function withToJson(w: With): Value {
  return record({ target: termToJson(w.target), value: termToJson(w.value) })
}

function termsOf(e: Expr): Value {
  switch (e.kind) {
    case 'term':
      return termToJson(e.term)
    case 'call':
      return [termToJson(e.op), ...e.args.map(termToJson)]
    case 'some':
      return record({ symbols: e.symbols.map(termToJson) })
    case 'some-in': {
      const operands = [...(e.key === undefined ? [] : [e.key]), e.value, e.domain].map(termToJson)
      const op = typed('ref', [typed('var', 'internal'), typed('string', `member_${operands.length}`)])
      return record({ symbols: [typed('call', [op, ...operands])] })
    }
    case 'every':
      return record({
        domain: termToJson(e.domain),
        key: e.key === undefined ? null : termToJson(e.key),
        value: termToJson(e.value),
        body: bodyToJson(e.body),
      })
    case 'not':
      return record({ not: bodyToJson(e.body) })
    default:
      return record({ [e.kind]: [bodyToJson(e.lhs), bodyToJson(e.rhs)] })
  }
}

function headToJson(h: Head): Value {
  return record({
    name: h.ref.head.kind === 'var' ? h.ref.head.name : '',
    ref: refPath(h.ref),
    args: h.args?.map(termToJson),
    key: h.key === undefined ? undefined : termToJson(h.key),
    value: h.value === undefined ? undefined : termToJson(h.value),
    assign: h.assign ? true : undefined,
  })
}

function ruleToJson(r: Rule): Value {
  return record({
    default: r.default ? true : undefined,
    head: headToJson(r.head),
    body: bodyToJson(r.body),
    else: r.else === undefined ? undefined : ruleToJson(r.else),
  })
}

function packageToJson(p: Package): Value {
  return record({ path: [typed('var', 'data'), ...p.path.map((name) => typed('string', name))] })
}

function importToJson(i: Import): Value {
  return record({ path: termToJson(i.path), alias: i.alias })
}

export function moduleToJson(m: Module): Value {
  return record({
    package: packageToJson(m.package),
    imports: m.imports.length === 0 ? undefined : m.imports.map(importToJson),
    rules: m.rules.length === 0 ? undefined : m.rules.map(ruleToJson),
  })
}
