import { evidence } from '@vouchsafe/core'
import { TEMPLATES } from '@vouchsafe/tpm'
import type { Tpm, TpmKey } from '@vouchsafe/tpm'
import { parseTpmPublic } from '@vouchsafe/tpm/codec'
import type { Hierarchy, TpmPublic } from '@vouchsafe/tpm/codec'
import { UsageError } from '../../output.ts'
import { HANDLE_KIND, parseHandle } from './arguments.ts'

/** Keys that every TPM makes anew from a template, by the names that the command line has for them. */
export const KEY_TEMPLATES = {
  'ek-rsa': ['endorsement', TEMPLATES.ekRsa2048],
  'ek-ecc': ['endorsement', TEMPLATES.ekEccP256],
  'ek-rsa-h': ['endorsement', TEMPLATES.ekRsa2048H],
  'ek-ecc-h': ['endorsement', TEMPLATES.ekEccP256H],
  'ek-ecc384-h': ['endorsement', TEMPLATES.ekEccP384H],
  'ak-rsa': ['endorsement', TEMPLATES.akRsa2048],
  'ak-ecc': ['endorsement', TEMPLATES.akEccP256],
  'ak-ecc384': ['endorsement', TEMPLATES.akEccP384],
  'srk-rsa': ['owner', TEMPLATES.srkRsa2048],
  'srk-ecc': ['owner', TEMPLATES.srkEccP256],
} as const satisfies Readonly<Record<string, readonly [Hierarchy, TpmPublic]>>
export type KeyTemplateName = keyof typeof KEY_TEMPLATES

export const GCE_AK = { 'gce-ak-rsa': evidence.GCE_VTPM.rsa, 'gce-ak-ecc': evidence.GCE_VTPM.ecc } as const

export const KEY_FORMS = `${Object.keys(KEY_TEMPLATES).join(', ')}, ${Object.keys(GCE_AK).join(', ')}, or a persistent handle such as 0x81010001`

/** A key of this TPM by template or handle. A key made from a template is flushed when `use` is done. */
export async function withKey<T>(tpm: Tpm, name: string, use: (key: TpmKey) => Promise<T>): Promise<T> {
  if (name.startsWith('0x'))
    return use(await tpm.openKey(parseHandle(name, 'a persistent handle', [HANDLE_KIND.persistent])))
  await using key = await tpm.createPrimary(await primaryFor(tpm, name))
  return await use(key)
}

async function primaryFor(tpm: Tpm, name: string) {
  if (isTemplateName(name)) {
    const [hierarchy, template] = KEY_TEMPLATES[name]
    return { hierarchy, template }
  }
  if (isGceAk(name)) {
    const template = parseTpmPublic(await tpm.nvRead(GCE_AK[name].template))
    return { hierarchy: 'endorsement', template } as const
  }
  throw new UsageError(`no key ${JSON.stringify(name)}`, `keys are ${KEY_FORMS}`)
}

export function isTemplateName(name: string): name is KeyTemplateName {
  return Object.hasOwn(KEY_TEMPLATES, name)
}

export function isGceAk(name: string): name is keyof typeof GCE_AK {
  return Object.hasOwn(GCE_AK, name)
}
