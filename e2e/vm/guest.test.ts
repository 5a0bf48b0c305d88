import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { COMMAND_LINE } from './command-line.ts'

/** The commands of a script, without its first line and its remarks. */
function commandsOf(file: string): readonly string[] {
  const lines = readFileSync(new URL(file, import.meta.url), 'utf8')
    .split('\n')
    .slice(1)
  return lines.map((line) => line.replace(/(^|\s)#.*$/, '').trim()).filter((line) => line !== '')
}

describe('D22 (partly: the recipe of the e2e guest) a boot that fails leaves whoever holds the console nothing to type into', () => {
  const [init, guest] = [commandsOf('init.sh'), commandsOf('guest.sh')]

  test('the first program becomes the guest’s script, and that ends by switching off', () => {
    expect(init.at(-1)).toBe('exec /new/bin/busybox switch_root /new /agent/guest.sh')
    expect(guest.at(-1)).toBe('poweroff -f')
  })

  test.each([
    ['a shell', /(^|[\s;&|/({])(sh|ash|bash|dash|hush|setsid|cttyhack)([\s;&|)}]|$)/],
    ['a login', /\b(getty|login|sulogin|telnetd|su)\b/],
    ['text of a console as commands', /(<\s*\/dev\/(tty|console|vport)|\beval\b|(^|[;&|]\s*)(source|\.)\s)/],
  ])('neither script starts %s', (_what, pattern) => {
    for (const command of [...init, ...guest]) expect(command).not.toMatch(pattern)
  })

  test('when the first program ends the kernel panics, and does not wait; nothing asks it for another one', () => {
    const words = COMMAND_LINE.split(' ')
    expect(words).toContain('panic=-1')
    for (const word of words)
      expect(word).not.toMatch(/^(rd)?init=|^(s|S|1|single|emergency|rescue|debug)$|^rd\.(shell|break)|^systemd\./)
  })
})
