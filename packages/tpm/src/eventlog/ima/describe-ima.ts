import type { EventDescription } from '../boot/describe-event.ts'
import { registerName } from '../boot/describe-event.ts'
import { toHex } from '../hex.ts'
import { quoted } from '../quoted.ts'
import type { HashName, VerifyCrypto } from '../../verify/crypto.ts'
import type { ImaEntry, ImaEvent } from './ima-event.ts'

/** What a record of a runtime measurement list means, for people, and how far its digest proves that. */
export function describeImaEvent(event: ImaEvent, crypto: Pick<VerifyCrypto, 'digest'>): EventDescription {
  const head = { register: registerName(event.register, 'pcr'), type: event.template }
  const { entry, templateData, templateHash } = event
  const path = entry === undefined ? 'something' : quoted(entry.path)
  // the register got all ones, whatever the record says
  if (event.violation)
    return {
      ...head,
      proof: 'digest only',
      sentence: `${path} was written while it was measured, as the log says: what was read is not known`,
    }
  if (toHex(crypto.digest('sha1', templateData)) !== toHex(templateHash))
    return { ...head, proof: 'contradiction', sentence: 'the template hash is not that of the data' }
  return { ...head, proof: 'proved', sentence: entry === undefined ? unknown(event) : sentenceOf(entry) }
}

/** What of a record the register of a bank was extended with, in hexadecimal. */
export function imaDigest(event: ImaEvent, bank: HashName, crypto: Pick<VerifyCrypto, 'digest'>): string {
  const digest = crypto.digest(bank, event.templateData)
  return event.violation ? 'ff'.repeat(digest.length) : toHex(digest)
}

function sentenceOf({ hash, digest, path, signature }: ImaEntry): string {
  const contents = `${hash} ${toHex(digest)}`
  if (path === 'boot_aggregate') return `the boot before it: registers of the firmware and boot loader, ${contents}`
  const signed =
    signature === undefined || signature.length === 0 ? '' : `, with a signature of ${signature.length} bytes`
  return `read ${quoted(path)}, ${contents}${signed}`
}

function unknown({ template, templateData }: ImaEvent): string {
  return `a record of template ${quoted(template)} with ${templateData.length} bytes, which says nothing here`
}
