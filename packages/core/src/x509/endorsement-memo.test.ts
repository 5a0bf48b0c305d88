import { expect, test } from 'vitest'
import { EndorsementMemo } from './index.ts'
import { KnownOctets } from './known-octets.ts'

const bytes = Uint8Array.from({ length: 4000 }, (_, i) => (i * 7) & 0xff)

test('what was made of bytes is found by all of them: one that differs anywhere is made anew', async () => {
  const memo = new EndorsementMemo()
  const make = () => ({})
  for (const at of [0, 31, 32, 33, 34, 35, 1999, 3967, 3968, 3999]) {
    const known = await memo.once('x', bytes, make)
    expect(await memo.once('x', Uint8Array.from(bytes), make)).toBe(known)
    expect(await memo.once('x', bytes.with(at, (bytes[at] ?? 0) ^ 1), make)).not.toBe(known)
  }
  const known = await memo.once('x', bytes, make)
  expect(await memo.once('x', bytes.subarray(0, -1), make)).not.toBe(known)
  expect(await memo.once('y', bytes, make)).not.toBe(known)
})

test('the same bytes are found wherever in memory they lie', async () => {
  const memo = new EndorsementMemo()
  const known = await memo.once('x', bytes, () => ({}))
  for (const offset of [1, 2, 3, 4]) {
    const room = new Uint8Array(bytes.length + 8)
    room.set(bytes, offset)
    const moved = room.subarray(offset, offset + bytes.length)
    expect(await memo.once('x', moved, () => ({}))).toBe(known)
    for (const at of [0, 2000, 3999]) {
      const changed = Uint8Array.from(room)
      changed[offset + at]! ^= 1
      expect(await memo.once('x', changed.subarray(offset, offset + bytes.length), () => ({}))).not.toBe(known)
      expect(await memo.once('x', bytes, () => known)).toBe(known)
    }
  }
})

test('whoever writes to bytes afterwards, even while something is made of them, changes nothing that is kept', async () => {
  const memo = new EndorsementMemo()
  const mine = Uint8Array.from(bytes)
  const known = await memo.once('x', mine, async () => {
    await Promise.resolve()
    mine[2000] = 0xff
    return {}
  })
  expect(await memo.once('x', bytes, () => ({}))).toBe(known)
  expect(await memo.once('x', mine, () => ({}))).not.toBe(known)
})

test('however many strangers come, no more is kept than fits, and what is used stays longest', async () => {
  const memo = new EndorsementMemo(3)
  let made = 0
  const ask = (n: number) => memo.once('x', Uint8Array.of(n), () => ({ n, nth: ++made }))
  for (const n of [1, 2, 3, 1, 4]) await ask(n)
  expect(made).toBe(4)
  await ask(1)
  expect(made).toBe(4)
  await ask(2) // pushed out by 4, for 1 had been used since
  expect(made).toBe(5)
})

test('octets that were read before are found by all of them, and long ones are not kept', () => {
  const known = new KnownOctets<string>(1)
  known.keep(Uint8Array.of(1, 2, 3), 'first')
  expect(known.find(Uint8Array.of(9, 1, 2, 3, 9), 1, 4)).toBe('first')
  for (const other of [
    [1, 2, 4],
    [1, 3, 3],
    [0, 2, 3],
    [1, 2],
    [1, 2, 3, 0],
  ])
    expect(known.find(Uint8Array.from(other), 0, other.length)).toBeUndefined()
  known.keep(Uint8Array.of(4), 'second') // the only place
  expect(known.find(Uint8Array.of(1, 2, 3), 0, 3)).toBeUndefined()
  known.keep(new Uint8Array(513), 'long')
  expect(known.find(new Uint8Array(513), 0, 513)).toBeUndefined()
})
