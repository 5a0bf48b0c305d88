import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type CheckedOut, checkOut, type Digest } from '@vouchsafe/image'
import {
  type BuildIdentity,
  parseBuildIdentity,
  provenanceStatement,
  signBundle,
  type SigningKey,
} from '@vouchsafe/image/signing'
import { UsageError } from '../../output.ts'
import { readSigningKey } from './signing-options.ts'

/** Who states what was built from what. */
export interface Builder {
  readonly identity: BuildIdentity
  readonly key: SigningKey
}

export interface BuilderOptions {
  readonly fromCommit?: string
  readonly identity?: string
  readonly identityKey?: string
  readonly passphraseFile?: string
  readonly provenance?: string
  readonly check?: string
}

/** @returns undefined where nothing shall be stated. */
export function openBuilder(options: BuilderOptions): Builder | undefined {
  const { identity: identityFile, identityKey, provenance } = options
  const given = [identityFile, identityKey, provenance].filter((option) => option !== undefined)
  if (given.length === 0) return undefined
  if (identityFile === undefined || identityKey === undefined || provenance === undefined)
    throw new UsageError('a provenance is not stated by halves', 'give --identity, --identity-key and --provenance')
  if (options.fromCommit === undefined || options.check !== undefined)
    throw new UsageError(
      'nobody can say what this is built from',
      'a provenance is of a build from a commit: add --from-commit ID and --out',
    )
  const identity = parseBuildIdentity(new Uint8Array(readFileSync(identityFile)), identityFile)
  const key = readSigningKey(identityKey, options)
  if (key.public.id !== identity.key.id)
    throw new UsageError(
      `${identityKey} is not the key of ${identityFile}`,
      'name the key that image key made with that identity',
    )
  return { identity, key }
}

/** Runs with the tree of a commit in a directory that is removed afterwards. */
export async function withCommit<T>(
  repository: string,
  commit: string,
  run: (checkedOut: CheckedOut, tree: string) => Promise<T>,
): Promise<T> {
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(commit))
    throw new UsageError(
      `${commit} is not the whole id of a commit`,
      `resolve it once: git -C ${repository} rev-parse --verify ${commit}^{commit}`,
    )
  const directory = mkdtempSync(path.join(tmpdir(), 'vouchsafe-commit-'))
  try {
    const tree = path.join(directory, 'tree')
    return await run(checkOut(repository, commit, tree), tree)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** A bundle: what was built from what, as the identity says it. */
export function signProvenance(
  digest: Digest,
  built: {
    readonly builder: Builder
    readonly checkedOut: CheckedOut
    readonly description: string
    readonly base?: { readonly reference: string; readonly digest: Digest }
  },
): Uint8Array {
  const { builder, ...rest } = built
  return signBundle(provenanceStatement(digest, { ...rest, identity: builder.identity, at: new Date() }), builder.key)
}
