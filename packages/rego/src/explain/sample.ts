/** A text that a regular expression of the simplest kind matches; undefined where that is not obvious. */
export function sampleOf(pattern: string): string | undefined {
  const body = pattern.replace(/^\^/, '').replace(/\$$/, '')
  let out = ''
  const part = /\[([^\]]+)\]|\\([dws.\-/+:])|([A-Za-z0-9_\-/:=@, ]|\.)/y
  for (let at = 0; at < body.length;) {
    part.lastIndex = at
    const m = part.exec(body)
    if (m === null) return undefined
    at = part.lastIndex
    const one = m[1] !== undefined ? fromClass(m[1]) : m[2] !== undefined ? fromEscape(m[2]) : m[3] === '.' ? 'x' : m[3]
    if (one === undefined) return undefined
    const repeat = /^(?:\{(\d{1,4})(?:,\d*)?\}|[*+?])/.exec(body.slice(at))
    at += repeat?.[0].length ?? 0
    const times = repeat === null ? 1 : repeat[1] !== undefined ? Number(repeat[1]) : repeat[0] === '+' ? 1 : 0
    if (times > 1000) return undefined
    out += one.repeat(times)
  }
  return out
}

function fromClass(inside: string): string | undefined {
  if (inside.startsWith('^'))
    return [...'x0-'].find((c) => !inside.slice(1).includes(c) && !/[a-z]-[a-z]|0-9/.test(inside))
  const first = inside.startsWith('\\') ? fromEscape(inside.charAt(1)) : inside.charAt(0)
  return first === '' ? undefined : first
}

function fromEscape(c: string): string | undefined {
  return c === 'd' ? '0' : c === 'w' ? 'a' : c === 's' ? ' ' : c
}
