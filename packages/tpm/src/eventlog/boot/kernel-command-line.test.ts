import { describe, expect, test } from 'vitest'
import { parseKernelCommandLine, singleParameter } from './kernel-command-line.ts'

const refused = (part: string) =>
  expect.objectContaining({ code: 'evidence.log', message: expect.stringContaining(part) })

describe('a kernel command line', () => {
  test('is taken apart into words, values and what is for init', () => {
    const line = parseKernelCommandLine('/vmlinuz  root=/dev/sda1 quiet a="b c" "d e=f g" empty= x==y -- single a=b')
    expect(line.parameters).toEqual([
      { name: '/vmlinuz' },
      { name: 'root', value: '/dev/sda1' },
      { name: 'quiet' },
      { name: 'a', value: 'b c' },
      { name: 'd e', value: 'f g' },
      { name: 'empty', value: '' },
      { name: 'x', value: '=y' },
    ])
    expect(line.initArguments).toEqual(['single', 'a=b'])
    expect(line.repeated).toEqual([])
  })

  test('may be empty', () => {
    expect(parseKernelCommandLine('')).toEqual({ text: '', parameters: [], initArguments: [], repeated: [] })
  })

  test.each([
    ['a quote that is not closed', 'root="a b', 'quotes'],
    ['a quote in the middle of a word', 'ro"ot=a', 'quotes'],
    ['a quote in the middle of a value', 'root=a"b c"', 'quotes'],
    ['text after a closed quote', 'root="a"b', 'quotes'],
    ['text after a quoted word', '"root=a"b', 'quotes'],
    ['a lone quote', 'a " b', 'quotes'],
    ['a tab', 'a\tb', 'printable'],
    ['a line break', 'a\nb', 'printable'],
    ['a NUL', 'a\0b', 'printable'],
    ['letters beyond ASCII', 'a=ä', 'printable'],
    ['a no-break space', 'a\u00a0b', 'printable'],
  ])('C10 with %s is refused', (_what, text, part) => {
    expect(() => parseKernelCommandLine(text)).toThrow(refused(part))
  })

  test('C10 repeats are reported, and - is the same as _ in a name', () => {
    const line = parseKernelCommandLine('console=a module.sig_enforce=1 console=b module.sig-enforce=0 quiet quiet')
    expect(line.repeated).toEqual(['console', 'module.sig_enforce', 'quiet'])
  })

  test('C10 a parameter that must be given once is refused when it is repeated, even with one value', () => {
    const line = parseKernelCommandLine('init=/bin/sh debug a_b=1 ro ro root=x root=y')
    expect(singleParameter(line, 'init')).toBe('/bin/sh')
    expect(singleParameter(line, 'debug')).toBe(true)
    expect(singleParameter(line, 'a-b')).toBe('1')
    expect(singleParameter(line, 'absent')).toBeUndefined()
    expect(() => singleParameter(line, 'ro')).toThrow(refused('ro is given 2 times'))
    expect(() => singleParameter(line, 'root')).toThrow(refused('root is given 2 times'))
  })

  test('C10 nothing after -- counts as a parameter', () => {
    expect(singleParameter(parseKernelCommandLine('a -- debug=1'), 'debug')).toBeUndefined()
  })

  test('is taken apart in time that grows with its length only', () => {
    const line = parseKernelCommandLine(`${'a="b c" '.repeat(20_000)}`)
    expect(line.parameters.length).toBe(20_000)
    expect(() => parseKernelCommandLine(`${'a='.repeat(40_000)}"`)).toThrow(refused('quotes'))
  })
})
