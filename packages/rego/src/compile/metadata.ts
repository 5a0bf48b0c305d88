import { BuiltinError } from '../builtins/index.ts'
import { unmarshalYaml } from '../builtins/yaml.ts'
import { arrayTerm, objectTerm, refName, setTerm, type Expr, type Module, type Rule, type Term } from '../syntax/ast.ts'
import type { Location } from '../syntax/source.ts'
import {
  isArray,
  isObject,
  isSet,
  newRecord,
  numberText,
  objectEntries,
  recordGet,
  sortedElements,
  type MutableRecord,
  type NumberValue,
  type Value,
} from '../value/index.ts'
import { mapExpr, mapList, mapTerm } from './map.ts'
import { clauses, type Findings, type WorkRule } from './rule.ts'

/** One `# METADATA` block, normalised: what `rego.metadata` shows. */
type Annotation = {
  readonly scope: string
  readonly value: Value
  readonly rule: Rule | undefined
  readonly module: Module
}

const FIELDS = ['title', 'description', 'entrypoint', 'organizations', 'schemas', 'custom']
const SCOPES = ['rule', 'document', 'package', 'subpackages']

/**
 * Replaces calls of `rego.metadata.chain` and `rego.metadata.rule` by what they give: the annotations in the comments above a
 * rule, its document and its packages. Blocks are only read if some rule asks.
 */
export function replaceMetadataCalls(rules: readonly WorkRule[], modules: readonly Module[], findings: Findings): void {
  let annotations: readonly Annotation[] | undefined
  for (const rule of rules) {
    for (const r of clauses(rule)) {
      const value = (name: string): Value => {
        annotations ??= modules.flatMap((m) => readAnnotations(m, findings))
        return name === 'rego.metadata.chain' ? chainOf(rule, annotations) : ruleAnnotation(rule, annotations)
      }
      replaceIn(r, value)
    }
  }
}

function replaceIn(r: WorkRule, value: (name: string) => Value): void {
  const isCall = (name: string | undefined): name is string =>
    name === 'rego.metadata.chain' || name === 'rego.metadata.rule'
  const onTerm = (t: Term): Term => {
    if (t.kind === 'call') {
      const name = refName(t.op)
      if (isCall(name)) return termOf(value(name), t.loc)
    }
    return mapTerm(t, onTerm, (b) => mapList(b, onExpr))
  }
  const onExpr = (e: Expr): Expr => {
    const name = e.kind === 'call' && e.args.length === 0 ? refName(e.op) : undefined
    if (isCall(name))
      return { kind: 'term', loc: e.loc, negated: e.negated, with: e.with, term: termOf(value(name), e.loc) }
    return mapExpr(e, onTerm, (b) => mapList(b, onExpr))
  }
  r.body = mapList(r.body, onExpr)
  r.key = r.key && onTerm(r.key)
  r.value = r.value && onTerm(r.value)
}

/** A term that stands for a value. */
export function termOf(v: Value, loc: Location): Term {
  if (v === null) return { kind: 'null', loc }
  if (typeof v === 'boolean') return { kind: 'boolean', loc, value: v }
  if (typeof v === 'string') return { kind: 'string', loc, value: v }
  if (isArray(v))
    return arrayTerm(
      loc,
      v.map((x) => termOf(x, loc)),
    )
  if (isSet(v))
    return setTerm(
      loc,
      sortedElements(v).map((x) => termOf(x, loc)),
    )
  if (isObject(v)) {
    return objectTerm(
      loc,
      objectEntries(v).map(([k, x]) => [termOf(k, loc), termOf(x, loc)] as const),
    )
  }
  return { kind: 'number', loc, text: numberText(v as NumberValue) }
}

function readAnnotations(module: Module, findings: Findings): Annotation[] {
  const statements = [
    { start: module.package.loc.start, rule: undefined, isPackage: true },
    ...module.imports.map((i) => ({ start: i.loc.start, rule: undefined, isPackage: false })),
    ...module.rules.map((rule) => ({ start: rule.loc.start, rule, isPackage: false })),
  ].sort((a, b) => a.start - b.start)
  const found: Annotation[] = []
  for (const block of metadataBlocks(module)) {
    const next = statements.find((s) => s.start > block.at.start)
    const value = parseBlock(block, findings)
    if (value === undefined || next === undefined) continue
    const scope = recordGet(value, 'scope') ?? (next.isPackage ? 'package' : 'rule')
    if (typeof scope !== 'string' || !SCOPES.includes(scope)) {
      findings.add('rego_parse_error', `unknown annotation scope ${JSON.stringify(scope)}`, block.at)
      continue
    }
    found.push({ scope, value: normalised(value, scope), rule: next.rule, module })
  }
  return found
}

type MetadataBlock = { readonly at: Location; readonly text: string }

/** Comments in directly following lines of which the first says METADATA. */
function metadataBlocks(module: Module): MetadataBlock[] {
  const blocks: MetadataBlock[] = []
  let lines: string[] | undefined
  let at: Location | undefined
  let row = -1
  const close = (): void => {
    if (lines !== undefined && at !== undefined) blocks.push({ at, text: lines.join('\n') })
    lines = undefined
  }
  for (const comment of module.comments) {
    const text = comment.text.slice(1).replace(/\r$/, '')
    if (comment.row !== row + 1) close()
    ;({ row } = comment)
    if (/^\s*METADATA\s*$/.test(text)) {
      close()
      lines = []
      at = comment
    } else lines?.push(text.replace(/^ /, ''))
  }
  close()
  return blocks
}

function parseBlock(block: MetadataBlock, findings: Findings): MutableRecord | undefined {
  try {
    const value = unmarshalYaml(block.text)
    if (isObject(value)) return value as MutableRecord
    findings.add('rego_parse_error', 'expected METADATA block to be an object', block.at)
  } catch (e) {
    if (!(e instanceof BuiltinError)) throw e
    findings.add('rego_parse_error', e.message, block.at)
  }
  return undefined
}

function normalised(block: MutableRecord, scope: string): Value {
  const out = newRecord()
  out['scope'] = scope
  for (const field of FIELDS) {
    const v = recordGet(block, field)
    if (v !== undefined) out[field] = v
  }
  const authors = recordGet(block, 'authors')
  if (isArray(authors)) out['authors'] = authors.map(author)
  const resources = recordGet(block, 'related_resources')
  if (isArray(resources))
    out['related_resources'] = resources.map((r) => (typeof r === 'string' ? record({ ref: r }) : r))
  return out
}

/** `Name <address>` taken apart. */
function author(v: Value): Value {
  if (typeof v !== 'string') return v
  const m = /^(.*?)\s*<([^<>]*)>\s*$/.exec(v)
  return m === null ? record({ name: v.trim() }) : record({ name: m[1] ?? '', email: m[2] ?? '' })
}

function record(members: Readonly<Record<string, string>>): Value {
  const out = newRecord()
  for (const [k, v] of Object.entries(members)) if (v !== '') out[k] = v
  return out
}

function ruleAnnotation(rule: WorkRule, annotations: readonly Annotation[]): Value {
  return annotations.find((a) => a.scope === 'rule' && a.rule === rule.source)?.value ?? newRecord()
}

/** From the rule outwards: its own annotations, its document's, its package's, and those of packages above that reach down. */
function chainOf(rule: WorkRule, annotations: readonly Annotation[]): Value {
  const { module, path } = rule
  const links: Value[] = []
  const link = (to: readonly string[], value?: Value): void => {
    const entry = newRecord()
    if (value !== undefined) entry['annotations'] = value
    entry['path'] = [...to]
    links.push(entry)
  }
  const samePath = (a: readonly string[], b: readonly string[]): boolean =>
    a.length === b.length && a.every((x, i) => x === b[i])
  const own = annotations.filter((a) => a.scope === 'rule' && a.rule === rule.source)
  for (const a of own) link(path, a.value)
  const documents = annotations.filter(
    (a) => a.scope === 'document' && a.rule !== undefined && samePath(pathOf(a.module, a.rule), path),
  )
  if (own.length === 0 && documents.length === 0) link(path)
  for (const a of documents) link(path, a.value)
  const packagePath = module.package.path
  for (const a of annotations) {
    if (a.scope === 'package' && samePath(a.module.package.path, packagePath)) link(packagePath, a.value)
  }
  for (let n = packagePath.length; n > 0; n--) {
    const above = packagePath.slice(0, n)
    for (const a of annotations) {
      if (a.scope === 'subpackages' && samePath(a.module.package.path, above)) link(above, a.value)
    }
  }
  return links
}

function pathOf(module: Module, rule: Rule): string[] {
  const { ref } = rule.head
  const path = [...module.package.path, ref.head.kind === 'var' ? ref.head.name : '']
  for (const step of ref.path) {
    if (step.kind !== 'string') break
    path.push(step.value)
  }
  return path
}
