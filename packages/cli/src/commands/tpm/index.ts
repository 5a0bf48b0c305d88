import { Command } from 'commander'
import type { Done } from '../options.ts'
import { certifyCommand } from './certify.ts'
import { credentialCommand } from './credential.ts'
import { eventsCommand } from './events.ts'
import { identityCommand } from './identity.ts'
import { importCommand } from './import.ts'
import { keysCommand } from './keys.ts'
import { nvCommand } from './nv.ts'
import { pcrsCommand } from './pcrs.ts'
import { quoteCommand } from './quote.ts'
import { sealCommand } from './seal.ts'
import { unsealCommand } from './unseal.ts'

/** `vouchsafe tpm …`: the TPM itself. */
export function tpmCommand(done: Done): Command {
  return new Command('tpm')
    .description('talk to a TPM 2.0')
    .addCommand(identityCommand(done))
    .addCommand(pcrsCommand(done))
    .addCommand(eventsCommand(done))
    .addCommand(quoteCommand(done))
    .addCommand(certifyCommand(done))
    .addCommand(credentialCommand(done))
    .addCommand(sealCommand(done))
    .addCommand(unsealCommand(done))
    .addCommand(importCommand(done))
    .addCommand(keysCommand(done))
    .addCommand(nvCommand(done))
}
