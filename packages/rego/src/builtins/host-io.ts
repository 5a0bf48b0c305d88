import {
  formatValue,
  isSet,
  objectGet,
  objectKeys,
  printable,
  RegoSet,
  sortedElements,
  toJson,
  type RegoMap,
  type RegoRecord,
  type Value,
} from '../value/index.ts'
import { RegoError } from '../errors.ts'
import { parseModule } from '../syntax/parse-module.ts'
import { BuiltinError, type Builtin, type BuiltinContext } from './contract.ts'
import { declared, define, O } from './define.ts'
import { moduleToJson } from './module-json.ts'
import { T, type TypeDecl } from './types.ts'

/** What a request to `http.send` may hold. The host decides what it honours. */
const REQUEST_KEYS = RegoSet.of([
  'method',
  'url',
  'body',
  'enable_redirect',
  'force_json_decode',
  'force_yaml_decode',
  'headers',
  'raw_body',
  'tls_use_system_certs',
  'tls_ca_cert',
  'tls_ca_cert_file',
  'tls_ca_cert_env_variable',
  'tls_client_cert',
  'tls_client_cert_file',
  'tls_client_cert_env_variable',
  'tls_client_key',
  'tls_client_key_file',
  'tls_client_key_env_variable',
  'tls_insecure_skip_verify',
  'tls_server_name',
  'timeout',
  'cache',
  'cache_ignored_headers',
  'force_cache',
  'force_cache_duration_seconds',
  'raise_error',
  'caching_mode',
  'max_retry_attempts',
])

function httpSend(ctx: BuiltinContext, request: RegoRecord | RegoMap): Value {
  const unknown = objectKeys(request).filter((k) => !REQUEST_KEYS.has(k))
  const listed = (keys: readonly Value[]): string => formatValue(RegoSet.of(keys))
  if (unknown.length > 0) {
    throw new BuiltinError(`invalid request parameters(s): ${listed(unknown)}`, 'eval_type_error')
  }
  const missing = ['method', 'url'].filter((k) => objectGet(request, k) === undefined)
  if (missing.length > 0) {
    throw new BuiltinError(`missing required request parameters(s): ${listed(missing)}`, 'eval_type_error')
  }
  const send = ctx.host.httpSend
  if (send === undefined) throw new Error('http.send: the host does not provide it')
  return ctx.settle(`http.send\0${toJson(request)}`, () => send(request))
}

function runtime(ctx: BuiltinContext): Value {
  const ask = ctx.host.runtime
  if (ask === undefined) throw new Error('opa.runtime: the host does not provide it')
  return ctx.settle('opa.runtime', ask)
}

function parse(ctx: BuiltinContext, file: string, text: string): Value {
  ctx.spend(1 + text.length)
  try {
    return moduleToJson(parseModule(file, text))
  } catch (error) {
    if (error instanceof RegoError) throw new BuiltinError(error.message, 'eval_builtin_error', { cause: error })
    throw error
  }
}

/** Text of a value as `print` and templates show it: strings bare. */
function shown(v: Value): string {
  return typeof v === 'string' ? v : formatValue(v)
}

/** Each part is a text, or the set of values of an expression: empty where it is undefined. */
function templateString(ctx: BuiltinContext, parts: readonly Value[]): Value {
  const out = parts.map((part) => {
    if (!isSet(part)) return shown(part)
    if (part.size > 1) throw new BuiltinError('template expression has more than one value')
    const [value] = sortedElements(part)
    return value === undefined ? '<undefined>' : shown(value)
  })
  ctx.reserve(out.reduce((n, s) => n + s.length, 0))
  return out.join('')
}

/** Texts of what is to be printed: every combination, where an operand has several values. */
export function printLines(operands: readonly Value[]): string[] {
  let lines = ['']
  for (const [i, operand] of operands.entries()) {
    const values = isSet(operand) ? sortedElements(operand).map(shown) : [shown(operand)]
    const texts = values.length === 0 ? ['<undefined>'] : values
    lines = lines.flatMap((line) => texts.map((t) => (i === 0 ? t : `${line} ${t}`)))
  }
  return lines.map(printable)
}

/** A function that only the compiler can carry out. */
function compiledAway(name: string, result: TypeDecl = T.any, args: Parameters<typeof define>[1] = []): Builtin {
  return define(
    name,
    args,
    result,
    () => {
      throw new Error(`${name} was not replaced by the compiler`)
    },
    { compiled: true },
  )
}

function withoutResult(b: Builtin, variadic = false): Builtin {
  const { args } = b.decl
  return { ...b, decl: variadic ? { args, variadic: T.any } : { args } }
}

export const HOST_IO: readonly Builtin[] = [
  define('http.send', [declared(O.object, T.object(T.string))], T.object(), httpSend, {
    nondeterministic: true,
    host: 'httpSend',
  }),
  define('opa.runtime', [], T.object(T.string), runtime, { nondeterministic: true, host: 'runtime' }),
  define('trace', [O.string], T.boolean, (ctx, note) => {
    ctx.host.trace?.(printable(note))
    return true
  }),
  define('rego.parse_module', [O.string, O.string], T.object(T.string), parse),
  define('internal.template_string', [O.array], T.string, templateString),
  compiledAway('rego.metadata.chain', T.array()),
  compiledAway('rego.metadata.rule'),
  withoutResult(compiledAway('print'), true),
  withoutResult(compiledAway('internal.print', T.any, [declared(O.array, T.array(T.set()))])),
  withoutResult(compiledAway('internal.test_case', T.any, [declared(O.array, T.array())])),
]
