/** Text from a log may hold anything: terminals and web pages see printable ASCII only. */
export function quoted(text: string, max = 200): string {
  const printable = text.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return printable.length > max ? `"${printable.slice(0, max)}…"` : `"${printable}"`
}
