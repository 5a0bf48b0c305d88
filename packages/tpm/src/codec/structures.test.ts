import { describe, expect, test } from 'vitest'
import { recorded, recordedStructures } from '../testing/structures.ts'
import { parseTpmAttest, parseTpmCertify, parseTpmCreation, parseTpmQuote } from './attest.ts'
import { encodeTpmCreationData, encodeTpmTicket, parseTpmCreationData, parseTpmTicket } from './creation.ts'
import { TpmError } from './errors.ts'
import { encodeTpmNvPublic, nvAttributes, parseTpmNvPublic } from './nv-public.ts'
import { encodePcrSelections, parsePcrSelections } from './pcr-selection.ts'
import { encodeTpmPublic, objectAttributes, parseTpmPublic } from './public-area.ts'
import { encodeTpmSignature, parseTpmSignature } from './signature.ts'

/** Each parser with what gives the same bytes back. */
const CODECS: Readonly<Record<string, (raw: Uint8Array) => Uint8Array>> = {
  TPMS_ATTEST: (raw) => parseTpmAttest(raw).raw,
  TPMT_PUBLIC: (raw) => encodeTpmPublic(parseTpmPublic(raw)),
  TPMT_SIGNATURE: (raw) => encodeTpmSignature(parseTpmSignature(raw)),
  TPMS_CREATION_DATA: (raw) => encodeTpmCreationData(parseTpmCreationData(raw)),
  TPMT_TK: (raw) => encodeTpmTicket(parseTpmTicket(raw)),
  TPMS_NV_PUBLIC: (raw) => encodeTpmNvPublic(parseTpmNvPublic(raw)),
  TPML_PCR_SELECTION: (raw) => encodePcrSelections(parsePcrSelections(raw)),
}
const codec = (type: string) => CODECS[type] as (raw: Uint8Array) => Uint8Array
const malformed = (part: string) =>
  expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining(part) })
const quote = recorded('TPMS_ATTEST', 'quote by ak')

describe.each(recordedStructures())('$type: $what', ({ type, raw }) => {
  test('gives the same bytes when written again', () => {
    expect(codec(type)(raw)).toEqual(raw)
  })

  test('is refused when cut short anywhere', () => {
    for (let length = 0; length < raw.length; length++)
      expect(() => codec(type)(raw.subarray(0, length))).toThrow(malformed(type))
  })

  test('is refused with a byte left over', () => {
    expect(() => codec(type)(Uint8Array.of(...raw, 0))).toThrow(malformed('end'))
  })

  test('fails only with its own error, whichever byte is changed, and never changes meaning without changing bytes', () => {
    for (let at = 0; at < raw.length; at++)
      for (const mask of [0x01, 0x80, 0xff]) {
        const changed = raw.with(at, (raw[at] ?? 0) ^ mask)
        try {
          expect(codec(type)(changed)).toEqual(changed)
        } catch (error) {
          expect(error).toBeInstanceOf(TpmError)
        }
      }
  })
})

describe('TPMS_ATTEST', () => {
  test.each([
    ['certify', 'certify'],
    ['creation', 'creation'],
    ['nv', 'nv'],
    ['time', 'time'],
    ['session audit', 'session-audit'],
  ])('B01 a statement of kind %s is not a quote', (_title, what) => {
    expect(() => parseTpmQuote(recorded('TPMS_ATTEST', what))).toThrow(malformed('not quote'))
  })

  test('B01 what does not begin with TPM_GENERATED is not a statement of a TPM', () => {
    expect(() => parseTpmQuote(quote.with(0, 0xfe))).toThrow(malformed('not TPM_GENERATED'))
  })

  test('B01 an unknown kind is refused', () => {
    expect(() => parseTpmAttest(quote.with(5, 0x7f))).toThrow(malformed('0x807f'))
  })

  test('tells certify and creation apart', () => {
    expect(parseTpmCertify(recorded('TPMS_ATTEST', 'certify')).kind).toBe('certify')
    expect(() => parseTpmCertify(recorded('TPMS_ATTEST', 'creation'))).toThrow(malformed('not certify'))
    expect(parseTpmCreation(recorded('TPMS_ATTEST', 'creation')).kind).toBe('creation')
    expect(() => parseTpmCreation(recorded('TPMS_ATTEST', 'certify'))).toThrow(malformed('not creation'))
  })

  test('reads every field of a quote', () => {
    expect(parseTpmQuote(quote)).toMatchObject({
      extraData: new Uint8Array(32).fill(0x5a),
      resetCount: 1,
      restartCount: 0,
      safe: true,
      firmwareVersion: 0x2019102300163636n,
      selections: [
        { hash: 'sha256', pcrs: [0, 1, 7, 23] },
        { hash: 'sha1', pcrs: [10] },
      ],
    })
  })

  test('keeps a copy that later writes to the input do not reach', () => {
    const input = Buffer.from(quote)
    const parsed = parseTpmQuote(input)
    input.fill(0)
    expect(parsed.raw).toEqual(quote)
    expect(parsed.extraData).toEqual(new Uint8Array(32).fill(0x5a))
  })

  test('B16 more than 4096 bytes are not looked at', () => {
    expect(() => parseTpmAttest(new Uint8Array(4097))).toThrow(expect.objectContaining({ code: 'input.too-large' }))
  })
})

describe('TPML_PCR_SELECTION', () => {
  const selection = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))

  test('B07 a bank selected twice is refused, though each half is well formed', () => {
    expect(() => parsePcrSelections(selection('00000002000b03010000000b03020000'))).toThrow(malformed('twice'))
  })

  test.each([
    ['two octets', '00000001000b020100'],
    ['four octets', '00000001000b0401000000'],
    ['no octets', '00000001000b00'],
  ])('B07 a bitmap of %s is refused', (_what, hex) => {
    expect(() => parsePcrSelections(selection(hex))).toThrow(malformed('sizeofSelect'))
  })

  test('B16 a count of four thousand million is refused before anything is allocated', () => {
    expect(() => parsePcrSelections(selection('ffffffff000b03010000'))).toThrow(malformed('is over 16'))
  })

  test('registers of a bank that is not known are refused', () => {
    expect(() => parsePcrSelections(selection('00000001000a03010000'))).toThrow(malformed('hash'))
  })

  test('writes registers in ascending order whatever order they are given in', () => {
    expect(parsePcrSelections(encodePcrSelections([{ hash: 'sha256', pcrs: [23, 0, 7] }]))).toEqual([
      { hash: 'sha256', pcrs: [0, 7, 23] },
    ])
  })

  test.each([24, -1, 1.5])('does not write a PCR %d', (pcr) => {
    expect(() => encodePcrSelections([{ hash: 'sha256', pcrs: [pcr] }])).toThrow(malformed(`no PCR ${pcr}`))
  })
})

describe('attributes', () => {
  test('reserved bits of TPMA_OBJECT are refused', () => {
    const area = recorded('TPMT_PUBLIC', 'made ak')
    expect(() => parseTpmPublic(area.with(7, (area[7] ?? 0) | 1))).toThrow(malformed('reserved bits'))
  })

  test('TPMA_OBJECT sets exactly the bits that are named', () => {
    const area = parseTpmPublic(recorded('TPMT_PUBLIC', 'made ak'))
    const encoded = encodeTpmPublic({ ...area, attributes: objectAttributes('fixedTPM', 'sign') })
    expect([...encoded.subarray(4, 8)]).toEqual([0x00, 0x04, 0x00, 0x02])
  })

  test('TPMA_NV carries the type of the index between its flags', () => {
    const area = parseTpmNvPublic(recorded('TPMS_NV_PUBLIC', 'counter'))
    expect(area.attributes).toMatchObject({ nvType: 'counter', ownerWrite: true, written: false })
    const bits = encodeTpmNvPublic({ ...area, attributes: nvAttributes(['authRead'], 'pin-pass') })
    expect([...bits.subarray(6, 10)]).toEqual([0x00, 0x04, 0x00, 0x90])
  })

  test('a type of index that does not exist is refused', () => {
    const raw = recorded('TPMS_NV_PUBLIC', 'ordinary')
    expect(() => parseTpmNvPublic(raw.with(9, 0x70))).toThrow(malformed('TPM_NT'))
  })
})
