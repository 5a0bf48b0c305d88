import type { Command } from 'commander'
import type { Done } from './options.ts'

/** One of the first words of a command line. */
export interface Noun {
  readonly name: string
  /** As its command says it too: lists of commands are shown without reading them. */
  readonly description: string
  /**
   * Reads its modules: those of all nouns take longer to read than most commands take to run.
   *
   * @param verb - The word after it, if there is one; some read the modules of that verb only.
   */
  load(verb?: string): Promise<(done: Done) => Command>
}

/** In the order of the help page. */
export const NOUNS: readonly Noun[] = [
  {
    name: 'demo',
    description: 'two clinics, one answer, ten attacks refused; on a software TPM, on this machine',
    load: async () => (await import('./demo.ts')).demoCommand,
  },
  {
    name: 'up',
    description: 'start a simulated guest: a software TPM with a measured boot, until Ctrl-C',
    load: async () => (await import('./up.ts')).upCommand,
  },
  {
    name: 'doctor',
    description: 'what this machine has and lacks',
    load: async () => (await import('./doctor.ts')).doctorCommand,
  },
  {
    name: 'why',
    description: 'explain a decision by computing it again from its recorded evidence',
    load: async () => (await import('./why.ts')).whyCommand,
  },
  {
    name: 'owner',
    description: 'identities of owners, operators and auditors',
    load: async () => (await import('./owner.ts')).ownerCommand,
  },
  {
    name: 'broker',
    description: 'make and serve a broker',
    load: async () => (await import('./broker.ts')).brokerCommand,
  },
  {
    name: 'agent',
    description: 'the guest’s side: prove what this machine runs, and run it',
    load: async () => (await import('./agent.ts')).agentCommand,
  },
  {
    name: 'agreement',
    description: 'what owners sign together',
    load: async () => (await import('./agreement.ts')).agreementCommand,
  },
  {
    name: 'resource',
    description: 'secrets at your broker',
    load: async () => (await import('./resource.ts')).resourceCommand,
  },
  {
    name: 'data',
    description: 'encrypted data files, which wait beside the workload for their key (age format)',
    load: async () => (await import('./data.ts')).dataCommand,
  },
  {
    name: 'result',
    description: 'answers that agents seal to an agreement’s recipients',
    load: async () => (await import('./result.ts')).resultCommand,
  },
  {
    name: 'machine',
    description: 'machines that may show evidence at your broker',
    load: async () => (await import('./machine.ts')).machineCommand,
  },
  {
    name: 'lease',
    description: 'releases that are running',
    load: async () => (await import('./lease.ts')).leaseCommand,
  },
  {
    name: 'distrust',
    description: 'trust a machine, chip, product line, image or boot state no more; running leases that rest on it end',
    load: async () => (await import('./distrust.ts')).distrustCommand,
  },
  {
    name: 'distributor',
    description: 'secrets for approved instances of a cloud, over the Token Distributor’s protocol',
    load: async () => (await import('./distributor.ts')).distributorCommand,
  },
  {
    name: 'image',
    description: 'build, compare, copy, sign, verify, encrypt, decrypt and pull OCI images',
    load: async (verb) => (await import('./image/index.ts')).imageCommand(verb),
  },
  {
    name: 'evidence',
    description: 'what a machine showed',
    load: async () => (await import('./evidence/index.ts')).evidenceCommand,
  },
  {
    name: 'reference',
    description: 'what machines are expected to show: computed, observed, imported; signed, with an end and a history',
    load: async () => (await import('./reference/index.ts')).referenceCommand,
  },
  {
    name: 'policy',
    description: 'write, check and try out the conditions of agreements',
    load: async (verb) => (await import('./policy/index.ts')).policyCommand(verb),
  },
  { name: 'token', description: 'attestation results', load: async () => (await import('./token.ts')).tokenCommand },
  {
    name: 'ledger',
    description: 'the tamper-evident log of every decision',
    load: async () => (await import('./ledger.ts')).ledgerCommand,
  },
  { name: 'tpm', description: 'talk to a TPM 2.0', load: async () => (await import('./tpm/index.ts')).tpmCommand },
]
