import {
  type Agreement,
  type CryptoPort,
  type Digest,
  type Entry,
  checkLedger,
  digestOf,
  type Envelope,
  fromBase64,
  type LogKey,
  parseAgreement,
  parseEntry,
  parseExportedEntry,
  verifyStatement,
} from '@vouchsafe/core'

/** What somebody did about an image, as a ledger holds it. */
export interface RecordedAct {
  readonly act: 'proposed' | 'approved' | 'withdrew'
  /** The owner, or whoever filed the agreement. */
  readonly who: string
  /** The key that signed it. `null` for a proposal, which the ledger alone vouches for. */
  readonly key: string | null
  /** When the ledger took it down: never earlier than the entry before. */
  readonly at: string
  /** When its signer says that it was signed. */
  readonly signed: string | null
  readonly entry: number
  readonly agreement: Digest
  readonly name: string
}

export interface LedgerAnswer {
  readonly acts: readonly RecordedAct[]
  /** Why the record cannot be relied upon: sentences, empty when it can. */
  readonly problems: readonly string[]
  /** What the check of the whole log says, also of an end that may be cut off. */
  readonly statement: string
  /** The newest checkpoint, signed by the log: keep it, and the next look sees whether anything was taken back. */
  readonly checkpoint: string | null
}

/** What a broker lists: nothing of it is believed that the log does not hold. */
export interface ListedAgreement {
  readonly digest: string
  /** Base64 of its bytes. */
  readonly agreement: string
  readonly statements: readonly Envelope[]
}

const ACTS = {
  'agreement.proposed': 'proposed',
  'agreement.approved': 'approved',
  'agreement.withdrawn': 'withdrew',
} as const

/**
 * Who proposed, approved and withdrew agreements about an image, from an exported log (CS-85). The log says that and when;
 * the statements, whose digests it holds, say by which key. So a broker can neither add, alter, move nor leave out one
 * without its log showing it.
 *
 * @param lines - The whole log, as exported.
 * @param listed - After the log was read: what it holds must be shown.
 * @param options - `before`: what was shown before the log was read, and must be in it; the same unless told. `kept`: a
 *   checkpoint from an earlier look; without one, an end that was cut off cannot be seen.
 */
export async function approvalsInLedger(
  image: Digest,
  lines: readonly string[],
  listed: readonly ListedAgreement[],
  options: {
    readonly logKey: LogKey
    readonly before?: readonly ListedAgreement[]
    readonly kept?: string
    readonly crypto: CryptoPort
  },
): Promise<LedgerAnswer> {
  const { crypto } = options
  const check = await checkLedger(lines, options)
  if (!check.ok)
    return { acts: [], problems: [`the ledger: ${check.statement}`], statement: check.statement, checkpoint: null }
  const problems: string[] = []
  const about = agreementsAbout(image, listed, problems, crypto)
  const acts: RecordedAct[] = []
  const held = new Set<string>()
  for (const line of lines) {
    const entry = parseEntry(parseExportedEntry(line).entry)
    const agreement = about.get(entry.subject)
    if (agreement === undefined || !isAct(entry.kind)) continue
    held.add(entry.digest)
    acts.push(await actOf(entry, ACTS[entry.kind], agreement, problems, crypto))
  }
  const before = options.before === undefined ? about : agreementsAbout(image, options.before, problems, crypto)
  for (const { agreement, statements } of before.values())
    for (const digest of [agreement.digest, ...statements.keys()])
      if (!held.has(digest))
        problems.push(
          `${digest}, about agreement ${agreement.body.name}: the broker shows it, and the ledger does not hold it`,
        )
  const checkpoint = lines.length === 0 ? null : parseExportedEntry(lines.at(-1) ?? '').checkpoint
  return { acts, problems, statement: check.statement, checkpoint }
}

interface About {
  readonly agreement: Agreement
  /** By the digest of what is signed, which is what the ledger holds. */
  readonly statements: ReadonlyMap<Digest, Envelope>
}

function agreementsAbout(
  image: Digest,
  listed: readonly ListedAgreement[],
  problems: string[],
  crypto: CryptoPort,
): ReadonlyMap<string, About> {
  const about = new Map<string, About>()
  for (const one of listed) {
    const agreement = parseAgreement(fromBase64(one.agreement, 'agreement'), crypto)
    if (agreement.digest !== one.digest) problems.push(`${one.digest}: the broker shows other bytes under this digest`)
    if (agreement.body.workload.image !== image) continue
    const statements = one.statements.map(
      (envelope) => [digestOf(fromBase64(envelope.payload, 'statement'), crypto), envelope] as const,
    )
    about.set(agreement.digest, { agreement, statements: new Map(statements) })
  }
  return about
}

function isAct(kind: string): kind is keyof typeof ACTS {
  return Object.hasOwn(ACTS, kind)
}

async function actOf(
  entry: Entry,
  act: RecordedAct['act'],
  { agreement, statements }: About,
  problems: string[],
  crypto: CryptoPort,
): Promise<RecordedAct> {
  const { digest, body } = agreement
  const taken = { act, at: entry.time, entry: entry.seq, agreement: digest, name: body.name }
  if (act === 'proposed') return { ...taken, who: entry.facts['by'] ?? 'somebody', key: null, signed: null }
  const who = entry.facts['owner'] ?? 'somebody'
  const envelope = statements.get(entry.digest)
  if (envelope === undefined) {
    problems.push(`entry ${entry.seq}: ${who} ${act} ${body.name}, and the broker does not show the statement any more`)
    return { ...taken, who, key: null, signed: null }
  }
  const keysOf = (owner: string) => body.owners.find(({ id }) => id === owner)?.keys ?? []
  try {
    const { owner, key, issued, says, agreement: of } = await verifyStatement(envelope, keysOf, crypto)
    if (owner !== who || of !== digest || (says === 'approve') !== (act === 'approved'))
      problems.push(
        `entry ${entry.seq}: the ledger says that ${who} ${act} ${body.name}, and the statement says otherwise`,
      )
    return { ...taken, who, key, signed: issued }
  } catch (error) {
    problems.push(`entry ${entry.seq}: ${who} ${act} ${body.name}: ${(error as Error).message}`)
    return { ...taken, who, key: null, signed: null }
  }
}
