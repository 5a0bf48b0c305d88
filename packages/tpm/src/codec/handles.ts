/** TPM_RH: handles that exist in every TPM. */
export const TPM_RH = {
  owner: 0x40000001,
  null: 0x40000007,
  /** TPM_RS_PW: authorization by password instead of by a session. */
  password: 0x40000009,
  lockout: 0x4000000a,
  endorsement: 0x4000000b,
  platform: 0x4000000c,
  platformNv: 0x4000000d,
} as const

/** The four hierarchies a primary key can live in. */
export type Hierarchy = 'owner' | 'endorsement' | 'platform' | 'null'
/** What has an authorization value of its own and no public area. */
export type PermanentEntity = Hierarchy | 'lockout'

/** TPM_HT: what a handle stands for, told by its first byte. */
export const HANDLE_TYPES = {
  pcr: 0x00,
  nv: 0x01,
  'hmac-session': 0x02,
  'policy-session': 0x03,
  permanent: 0x40,
  transient: 0x80,
  persistent: 0x81,
} as const
export type HandleType = keyof typeof HANDLE_TYPES
const TYPES_BY_OCTET = new Map(
  (Object.keys(HANDLE_TYPES) as HandleType[]).map((type): [number, HandleType] => [HANDLE_TYPES[type], type]),
)

export function handleType(handle: number): HandleType | undefined {
  return TYPES_BY_OCTET.get(handle >>> 24)
}
