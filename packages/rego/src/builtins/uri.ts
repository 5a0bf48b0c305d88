import { newRecord, type RegoRecord } from '../value/index.ts'
import { BuiltinError, within } from './contract.ts'
import { percentDecode, percentEncode } from './percent.ts'

type Uri = {
  scheme: string
  hostname: string
  port: string
  path: string
  rawPath: string
  rawQuery: string
  fragment: string
}

/** The parts of a URI as Go's net/url reads it; a part that is empty is left out. */
export function parseUri(text: string): RegoRecord {
  const parts = within(`parse ${JSON.stringify(text)}`, () => parse(text))
  const out = newRecord()
  const set = (name: string, value: string): void => {
    if (value !== '') out[name] = value
  }
  set('scheme', parts.scheme)
  set('hostname', parts.hostname)
  set('port', parts.port)
  set('path', parts.path)
  set('raw_path', parts.rawPath)
  set('raw_query', parts.rawQuery)
  set('fragment', parts.fragment)
  return out
}

function parse(text: string): Uri {
  if (/[\0-\x1f\x7f]/.test(text)) throw new BuiltinError('net/url: invalid control character in URL')
  const uri: Uri = { scheme: '', hostname: '', port: '', path: '', rawPath: '', rawQuery: '', fragment: '' }
  const hash = text.indexOf('#')
  const beforeFragment = hash < 0 ? text : text.slice(0, hash)
  if (hash >= 0) uri.fragment = percentDecode(text.slice(hash + 1))
  let rest = takeScheme(beforeFragment, uri)
  const query = rest.indexOf('?')
  if (query >= 0) {
    uri.rawQuery = rest.slice(query + 1)
    rest = rest.slice(0, query)
  }
  if (!rest.startsWith('/')) {
    // after a scheme this is opaque ("mailto:…") and has no parts
    if (uri.scheme !== '') return uri
    if ((rest.split('/')[0] ?? '').includes(':'))
      throw new BuiltinError('first path segment in URL cannot contain colon')
  }
  if (rest.startsWith('//') && (uri.scheme !== '' || !rest.startsWith('///'))) {
    const slash = rest.indexOf('/', 2)
    takeAuthority(slash < 0 ? rest.slice(2) : rest.slice(2, slash), uri)
    rest = slash < 0 ? '' : rest.slice(slash)
  }
  uri.path = percentDecode(rest)
  // what encodes to the same text needs no raw form
  uri.rawPath = percentEncode(uri.path, /[A-Za-z0-9\-_.~$&+,/:;=@]/) === rest ? uri.path : rest
  return uri
}

function takeScheme(text: string, uri: Uri): string {
  if (text.startsWith(':')) throw new BuiltinError('missing protocol scheme')
  const m = /^([A-Za-z][A-Za-z0-9+\-.]*):/.exec(text)
  if (m === null) return text
  uri.scheme = (m[1] ?? '').toLowerCase()
  return text.slice(m[0].length)
}

function takeAuthority(authority: string, uri: Uri): void {
  const at = authority.lastIndexOf('@')
  takeHost(authority.slice(at + 1), uri)
  const user = at < 0 ? '' : authority.slice(0, at)
  if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(user)) throw new BuiltinError('net/url: invalid userinfo')
  percentDecode(user)
}

function takeHost(host: string, uri: Uri): void {
  let portAt = host.lastIndexOf(':')
  if (host.startsWith('[')) {
    const close = host.lastIndexOf(']')
    if (close < 0) throw new BuiltinError("missing ']' in host")
    portAt = host.length > close + 1 ? close + 1 : -1
  }
  const port = portAt < 0 ? '' : host.slice(portAt)
  if (port !== '' && !/^:[0-9]*$/.test(port)) {
    throw new BuiltinError(`invalid port ${JSON.stringify(port)} after host`)
  }
  const name = portAt < 0 ? host : host.slice(0, portAt)
  uri.hostname = decodeHost(name.startsWith('[') ? name.slice(1, -1) : name, name.startsWith('['))
  uri.port = port.slice(1)
}

/** In a host only bytes past ASCII may be escaped, and `%25` before an address zone. */
function decodeHost(name: string, address: boolean): string {
  for (const escape of name.match(/%.{0,2}/gu) ?? []) {
    const code = Number.parseInt(escape.slice(1), 16)
    const allowed = /^%[0-9a-fA-F]{2}$/.test(escape) && (code >= 0x80 || (address && code === 0x25))
    if (!allowed) throw new BuiltinError(`invalid URL escape ${JSON.stringify(escape)}`)
  }
  const bad = /[ "\\^`{|}]/.exec(name)
  if (bad !== null && bad[0] !== '"') {
    throw new BuiltinError(`invalid character ${JSON.stringify(bad[0])} in host name`)
  }
  return percentDecode(name)
}
