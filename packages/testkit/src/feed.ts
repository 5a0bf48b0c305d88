/** How long each parser is fed in the long suite: five minutes, unless the environment says otherwise. */
export const FUZZ_SECONDS = Number(process.env['VOUCHSAFE_FUZZ_SECONDS'] ?? 300)
/** No single input may take more of the processor. What waits for ever without it ends with the test's own time. */
const MOST_MICROSECONDS = 5_000_000

/** Numbers that look random and are the same in every run. @source mulberry32, public domain */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

const SIZES = [
  0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
]

/** One to four changes: bytes, sizes in either order, pieces cut, repeated, moved in from another input, cut short. */
function mutate(corpus: readonly Uint8Array[], random: (below: number) => number): Uint8Array {
  let bytes = new Uint8Array(corpus[random(corpus.length)] ?? [])
  for (let changes = 1 + random(4); changes > 0 && bytes.length > 0; changes--) {
    const at = random(bytes.length)
    const length = 1 + random(Math.min(64, bytes.length - at))
    const other = corpus[random(corpus.length)] ?? bytes
    const from = random(Math.max(1, other.length))
    const size = SIZES[random(SIZES.length)] ?? 0
    switch (random(8)) {
      case 0:
        bytes[at] = random(256)
        break
      case 1:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8))
        break
      case 2:
        if (at + 4 <= bytes.length) new DataView(bytes.buffer).setUint32(at, size, random(2) === 0)
        break
      case 3:
        if (at + 2 <= bytes.length) new DataView(bytes.buffer).setUint16(at, size & 0xffff, random(2) === 0)
        break
      case 4:
        bytes = joined(bytes.subarray(0, at), bytes.subarray(at + length))
        break
      case 5:
        bytes = joined(bytes.subarray(0, at + length), bytes.subarray(at))
        break
      case 6:
        bytes = joined(bytes.subarray(0, at), other.subarray(from, from + length), bytes.subarray(at))
        break
      default:
        bytes = bytes.slice(0, at)
    }
  }
  return bytes
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts))
}

/**
 * Feeds `run` changed inputs until the time is over; the sound ones first, which must all be accepted. Whatever it throws
 * must be an error of ours, and nothing may take long; by the processor’s clock, since a busy machine proves nothing.
 *
 * @param isOurs - Whether an error is one that a caller is told to expect. Anything else fails, with the input.
 */
export async function feed(
  corpus: readonly Uint8Array[],
  run: (bytes: Uint8Array) => unknown,
  isOurs: (error: unknown) => boolean,
): Promise<void> {
  for (const bytes of corpus) await run(bytes)
  const random = randomFrom(20_250_101)
  const until = performance.now() + FUZZ_SECONDS * 1000
  let inputs = 0
  let accepted = 0
  for (; performance.now() < until; inputs++) {
    const bytes = mutate(corpus, random)
    const start = process.cpuUsage()
    try {
      await run(bytes)
      accepted++
    } catch (error) {
      if (!isOurs(error)) throw new Error(`input ${inputs}: ${Buffer.from(bytes).toString('base64')}`, { cause: error })
    }
    const { user, system } = process.cpuUsage(start)
    if (user + system > MOST_MICROSECONDS)
      throw new Error(`input ${inputs} took ${user + system} µs: ${Buffer.from(bytes).toString('base64')}`)
  }
  console.info(`${inputs} inputs, ${accepted} accepted`)
  if (inputs <= FUZZ_SECONDS) throw new Error(`only ${inputs} inputs in ${FUZZ_SECONDS} s`)
}
