import { TPM_PT } from '../codec/capability.ts'
import type { CapabilityName, CapabilityValues } from '../codec/capability.ts'
import { TpmError } from '../codec/errors.ts'
import type { Executor } from './executor.ts'

const PAGE = 256
/** A TPM lists its fixed and its variable properties separately. */
const PROPERTY_GROUPS = [0x100, 0x200] as const

/** Who made this TPM, in the words of its own properties. Not authenticated: an EK certificate is. */
export interface TpmIdentity {
  /** Four letters, `IBM` for swtpm. */
  readonly manufacturer: string
  readonly vendor: string
  /** As in TPMS_ATTEST. */
  readonly firmwareVersion: bigint
  /** Of the specification, 1.59 for instance. */
  readonly revision: string
  readonly year: number
}

/**
 * Reads one capability, page after page.
 * @param first - The first property, handle, command or algorithm wanted.
 */
export async function getCapability<C extends CapabilityName>(
  tpm: Executor,
  capability: C,
  first: number,
  count: number,
): Promise<CapabilityValues<C>> {
  const values: unknown[] = []
  let property = first
  for (;;) {
    const propertyCount = Math.min(PAGE, count - values.length)
    const { moreData, capabilityData } = await tpm.run('GetCapability', { capability, property, propertyCount })
    if (capabilityData.capability !== capability)
      throw new TpmError('tpm.integrity', `GetCapability: asked for ${capability}, got ${capabilityData.capability}`)
    const page: readonly unknown[] = capabilityData.values
    values.push(...page)
    const next = nextProperty(page.at(-1))
    if (!moreData || values.length >= count || next === undefined) return values as never as CapabilityValues<C>
    if (next <= property) throw new TpmError('tpm.integrity', 'GetCapability: the pages do not advance')
    property = next
  }
}

/** Capabilities without a running number come in one page. */
function nextProperty(last: unknown): number | undefined {
  if (typeof last === 'number') return last + 1
  if (typeof last !== 'object' || last === null) return undefined
  if ('property' in last) return Number(last.property) + 1
  if ('algorithm' in last) return Number(last.algorithm) + 1
  return undefined
}

/** All fixed and variable properties, by TPM_PT. */
export async function properties(tpm: Executor): Promise<ReadonlyMap<number, number>> {
  const known = new Map<number, number>()
  for (const first of PROPERTY_GROUPS)
    for (const { property, value } of await getCapability(tpm, 'tpm-properties', first, PAGE))
      known.set(property, value)
  return known
}

export async function identity(tpm: Executor): Promise<TpmIdentity> {
  const known = await properties(tpm)
  const value = (property: number) => known.get(property) ?? 0
  const text = (...wanted: readonly number[]) =>
    wanted
      .flatMap((property) => [24, 16, 8, 0].map((shift) => (value(property) >>> shift) & 0xff))
      .filter((octet) => octet >= 0x20 && octet < 0x7f)
      .map((octet) => String.fromCharCode(octet))
      .join('')
      .trim()
  const { vendorString1, vendorString2, vendorString3, vendorString4 } = TPM_PT
  return {
    manufacturer: text(TPM_PT.manufacturer),
    vendor: text(vendorString1, vendorString2, vendorString3, vendorString4),
    firmwareVersion: (BigInt(value(TPM_PT.firmwareVersion1)) << 32n) | BigInt(value(TPM_PT.firmwareVersion2)),
    revision: (value(TPM_PT.revision) / 100).toFixed(2),
    year: value(TPM_PT.year),
  }
}
