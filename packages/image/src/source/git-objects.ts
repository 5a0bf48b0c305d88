import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { ImageError } from '../errors.ts'

export type ObjectType = 'commit' | 'tree' | 'blob'

/** An object's id: forty hexadecimal digits (SHA-1), or sixty-four (SHA-256). */
const ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/
/** So many objects, and so many bytes of them, come in one go. */
const BATCH = 64
const MAX_BATCH_BYTES = 1024 * 1024 * 1024

export function isObjectId(text: string): boolean {
  return ID.test(text)
}

/** The algorithm that ids of this length are made by. SHA-1 is what git has: git itself looks for known collisions. */
export function algorithmOf(id: string): 'sha1' | 'sha256' {
  return id.length === 40 ? 'sha1' : 'sha256'
}

/**
 * The objects of a git repository, each held against its id. Nothing of the repository is run and none of its settings
 * count: no hooks, filters, attributes, replacements, grafts, and nothing missing is fetched from elsewhere.
 *
 * @source git, git-cat-file(1): batch output; git object format
 */
export class GitObjects {
  readonly #repository: string

  constructor(repository: string) {
    this.#repository = repository
  }

  /**
   * @returns In the order that was asked for.
   * @throws {ImageError} `source.unavailable`, `source.mismatch` for one that is not what its id says.
   */
  *read(type: ObjectType, ids: readonly string[]): Generator<Uint8Array> {
    for (let start = 0; start < ids.length; start += BATCH) {
      const batch = ids.slice(start, start + BATCH)
      let rest = this.#run(['cat-file', '--batch'], `${batch.join('\n')}\n`)
      for (const id of batch) {
        const end = rest.indexOf(0x0a)
        const header = Buffer.from(rest.subarray(0, Math.max(0, end))).toString('latin1')
        const [, size] = new RegExp(`^${id} ${type} ([0-9]{1,12})$`).exec(header) ?? []
        if (size === undefined)
          throw new ImageError('source.unavailable', `${this.#repository}: no ${type} ${id}: git says ${header}`)
        const content = rest.subarray(end + 1, end + 1 + Number(size))
        assertIs(type, id, content)
        yield content
        rest = rest.subarray(end + 1 + Number(size) + 1)
      }
    }
  }

  /**
   * The commits without parents that a commit comes from: what tells one repository from another.
   *
   * @throws {ImageError} `source.unavailable`, also for a shallow clone: where its history is cut, git calls that a root.
   */
  roots(commit: string): readonly string[] {
    if (
      Buffer.from(this.#run(['rev-parse', '--is-shallow-repository'], ''))
        .toString('latin1')
        .trim() !== 'false'
    )
      throw new ImageError(
        'source.unavailable',
        `${this.#repository}: a shallow clone does not know where it comes from; git fetch --unshallow gets the rest`,
      )
    const lines = Buffer.from(this.#run(['rev-list', '--max-parents=0', commit], '')).toString('latin1')
    return lines.split('\n').filter((line) => line !== '')
  }

  #run(args: readonly string[], input: string): Uint8Array {
    const { status, error, stdout, stderr } = spawnSync(
      'git',
      [
        '--no-replace-objects',
        '-c',
        'core.fsmonitor=false',
        '-c',
        'core.hooksPath=/dev/null',
        '-c',
        'core.commitGraph=false', // a cache of parents, which nothing holds against the commits
        '-c',
        'protocol.allow=never',
        ...args,
      ],
      { cwd: this.#repository, env: ENVIRONMENT, input, maxBuffer: MAX_BATCH_BYTES, stdio: 'pipe' },
    )
    if (status === 0) return stdout
    const why = error?.message ?? stderr.toString('utf8').trim()
    throw new ImageError('source.unavailable', `${this.#repository}: git ${args[0] ?? ''}: ${why.slice(0, 500)}`)
  }
}

/** The commits without parents that the repository's `HEAD` comes from. @throws {ImageError} `source.unavailable`. */
export function rootCommits(repository: string): readonly string[] {
  return new GitObjects(repository).roots('HEAD')
}

/** Nobody's settings but ours. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/local/bin:/usr/bin:/bin',
  LC_ALL: 'C',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_GRAFT_FILE: '/dev/null',
  GIT_NO_LAZY_FETCH: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_OPTIONAL_LOCKS: '0',
}

function assertIs(type: ObjectType, id: string, content: Uint8Array): void {
  const found = createHash(algorithmOf(id)).update(`${type} ${content.length}\0`).update(content).digest('hex')
  if (found !== id) throw new ImageError('source.mismatch', `${type} ${id}: its content is ${found}`)
}
