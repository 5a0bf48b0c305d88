import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { deflateSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { GitRepository } from '../testing/git.ts'
import { scratchSpace } from '../testing/image.ts'
import { checkOut } from './check-out.ts'
import { rootCommits } from './git-objects.ts'

const fresh = scratchSpace('commit')

function repository(format?: 'sha1' | 'sha256') {
  const made = new GitRepository(fresh(), format)
  made.write('app.json', '{}')
  made.write('src/main.js', 'one\n')
  made.write('bin/run', '#!/bin/sh\n', 0o755)
  made.link('latest', 'src/main.js')
  return made
}
const refusal = (code: string, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

describe('a commit', () => {
  test.each(['sha1', 'sha256'] as const)('CS-04 is checked out as it is stored, in a repository of %s', (format) => {
    const git = repository(format)
    const first = git.commit()
    git.write('src/main.js', 'two\n')
    const second = git.commit()
    const target = fresh()
    const out = checkOut(git.directory, second, target)
    expect(out).toEqual({ commit: second, tree: git.git(['rev-parse', `${second}^{tree}`]), roots: [first], files: 4 })
    expect(readFileSync(path.join(target, 'src/main.js'), 'utf8')).toBe('two\n')
    expect(lstatSync(path.join(target, 'bin/run')).mode & 0o777).toBe(0o755)
    expect(lstatSync(path.join(target, 'app.json')).mode & 0o777).toBe(0o644)
    expect(readlinkSync(path.join(target, 'latest'))).toBe('src/main.js')
    expect(lstatSync(target).mode & 0o777).toBe(0o700)
  })

  test('CS-04 of a shallow clone is refused: what git calls its root there is where the history was cut', () => {
    const git = repository()
    git.commit()
    git.write('app.json', '{"second": true}')
    const second = git.commit()
    const shallow = fresh()
    git.git(['clone', '--quiet', '--depth', '1', `file://${git.directory}`, shallow])
    expect(() => checkOut(shallow, second, fresh())).toThrow(refusal('source.unavailable', 'shallow'))
    expect(() => rootCommits(shallow)).toThrow(refusal('source.unavailable', '--unshallow'))
  })

  test('CS-04 comes from where its commits say, whatever a cache of parents says', () => {
    const git = repository()
    const root = git.commit()
    git.write('app.json', '{"second": true}')
    const second = git.commit()
    git.git(['commit-graph', 'write', '--reachable'])
    const file = path.join(git.directory, '.git/objects/info/commit-graph')
    const graph = readFileSync(file)
    // a table of chunks from byte 8 on, 12 bytes each; of each commit its tree, then its parents: 0x70000000 is none
    const row = graph.indexOf('CDAT', 8)
    const commits = Number(graph.readBigUInt64BE(row + 4))
    for (const at of [0, 36]) graph.writeUInt32BE(0x70000000, commits + at + 20)
    chmodSync(file, 0o600)
    writeFileSync(file, graph)
    expect(git.git(['rev-list', '--max-parents=0', second])).toContain(second)
    expect(rootCommits(git.directory)).toEqual([root])
  })

  test.each([
    ['a NUL byte', Buffer.from('a\0b')],
    ['nothing', Buffer.alloc(0)],
  ])('a link to %s is refused', (_what, target) => {
    const git = repository()
    const id = Buffer.from(git.store('blob', target), 'hex')
    const tree = git.store('tree', Buffer.concat([Buffer.from('120000 link\0'), id]))
    const commit = git.git(['commit-tree', tree, '-m', 'x'])
    expect(() => checkOut(git.directory, commit, fresh())).toThrow(refusal('source.unsupported', 'no path'))
  })

  test('CS-04 is not what lies in the work tree: changed, staged and strange files have no say', () => {
    const git = repository()
    const commit = git.commit()
    git.write('src/main.js', 'changed\n')
    git.git(['add', '--all'])
    git.write('src/main.js', 'changed again\n')
    git.write('strange', 'x')
    const target = fresh()
    checkOut(git.directory, commit, target)
    expect(readFileSync(path.join(target, 'src/main.js'), 'utf8')).toBe('one\n')
    expect(readdirSync(target).toSorted()).toEqual(['app.json', 'bin', 'latest', 'src'])
  })

  test('CS-04 runs nothing of the repository: no filter, no hook, no watcher', () => {
    const git = repository()
    const canary = fresh()
    const script = `#!/bin/sh\ntouch ${canary}\ncat\n`
    git.write('.gitattributes', '* filter=evil eol=crlf ident export-subst\n')
    const commit = git.commit()
    const hooks = path.join(git.directory, '.git/hooks')
    mkdirSync(hooks, { recursive: true })
    for (const hook of ['post-checkout', 'post-index-change', 'reference-transaction'])
      writeFileSync(path.join(hooks, hook), script, { mode: 0o755 })
    const evil = path.join(hooks, 'evil')
    writeFileSync(evil, script)
    chmodSync(evil, 0o755)
    for (const setting of [
      'filter.evil.smudge',
      'filter.evil.process',
      'core.fsmonitor',
      'core.pager',
      'core.sshCommand',
    ])
      git.git(['config', setting, evil])
    const target = fresh()
    checkOut(git.directory, commit, target)
    expect(readFileSync(path.join(target, 'src/main.js'), 'utf8')).toBe('one\n')
    expect(existsSync(canary)).toBe(false)
  })

  test('CS-04 is the one that was named: a replacement of it, or of one of its files, does not count', () => {
    const git = repository()
    const good = git.commit()
    const blob = git.git(['rev-parse', `${good}:src/main.js`])
    git.write('src/main.js', 'evil\n')
    const evil = git.commit()
    git.git(['replace', good, evil])
    git.git(['replace', blob, git.git(['rev-parse', `${evil}:src/main.js`])])
    const target = fresh()
    checkOut(git.directory, good, target)
    expect(readFileSync(path.join(target, 'src/main.js'), 'utf8')).toBe('one\n')
  })

  test('CS-04 with a file that is not what its id says is refused', () => {
    const git = repository()
    const commit = git.commit()
    const blob = git.git(['rev-parse', `${commit}:src/main.js`])
    const file = path.join(git.directory, '.git/objects', blob.slice(0, 2), blob.slice(2))
    chmodSync(file, 0o644)
    writeFileSync(file, deflateSync(Buffer.from('blob 4\0two\n')))
    expect(() => checkOut(git.directory, commit, fresh())).toThrow(refusal('source.mismatch', blob))
  })

  test.each([
    ['a branch', 'main'],
    ['HEAD', 'HEAD'],
    ['the beginning of an id', 'abcdef1'],
    ['an option', '--batch-all-objects'],
  ])('CS-04 named by %s is refused', (_what, name) => {
    expect(() => checkOut(repository().directory, name, fresh())).toThrow(refusal('source.unsupported', 'whole id'))
  })

  test('CS-04 that is not there, or that is no commit, is refused', () => {
    const git = repository()
    const commit = git.commit()
    for (const id of ['0'.repeat(40), git.git(['rev-parse', `${commit}^{tree}`])])
      expect(() => checkOut(git.directory, id, fresh())).toThrow(refusal('source.unavailable', id))
    expect(() => checkOut(fresh(), commit, fresh())).toThrow(refusal('source.unavailable', 'git cat-file'))
  })

  test.each([
    ['160000 sub', 'a submodule'],
    ['100644 ..', 'leads elsewhere'],
    ['100644 .GIT', 'leads elsewhere'],
    ['100644 a/b', 'leads elsewhere'],
    ['100666 a', 'mode 100666'],
  ])('CS-04 with an entry %s is refused', (entry, message) => {
    const git = repository()
    git.commit()
    const blob = Buffer.from(git.store('blob', 'x'), 'hex')
    const tree = git.store('tree', Buffer.concat([Buffer.from(`${entry}\0`), blob]))
    const commit = git.git(['commit-tree', tree, '-m', 'm'])
    const target = fresh()
    expect(() => checkOut(git.directory, commit, target)).toThrow(refusal('source.unsupported', message))
    expect(readdirSync(target)).toEqual([])
  })

  test('CS-04 with one name twice is refused: no link is written through', () => {
    const git = repository()
    git.commit()
    const outside = fresh()
    const link = Buffer.from(git.store('blob', outside), 'hex')
    const file = Buffer.from(git.store('blob', 'x'), 'hex')
    const below = Buffer.from(git.store('tree', Buffer.concat([Buffer.from('100644 f\0'), file])), 'hex')
    const tree = Buffer.concat([Buffer.from('120000 a\0'), link, Buffer.from('40000 a\0'), below])
    const commit = git.git(['commit-tree', git.store('tree', tree), '-m', 'm'])
    expect(() => checkOut(git.directory, commit, fresh())).toThrow(refusal('source.unsupported', 'a name twice'))
    expect(existsSync(path.join(outside, 'f'))).toBe(false)
  })
})
