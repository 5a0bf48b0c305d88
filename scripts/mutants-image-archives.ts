import type { Mutant } from './mutants-list.ts'

const archive = 'packages/image/src/archive'
const files = `${archive}/archive-files.ts`
const docker = `${archive}/docker-archive.ts`
const archiveTest = `${archive}/archive.test.ts`
const tags = 'packages/image/src/registry/tags.ts'
const cli = 'packages/cli/src/commands/image'
const refused = 'an archive is refused that is'
const saved = 'what docker saved is refused'

/** The checks of archives of images, of places that images are written to, and of lists of tags, removed one at a time. */
export const IMAGE_ARCHIVE_MUTANTS: readonly Mutant[] = [
  {
    name: 'archive-name-twice',
    file: files,
    find: "if (this.#seen.has(name)) throw this.#malformed(entry.path, 'a name twice')",
    replace: '',
    testFile: archiveTest,
    test: refused,
  },
  {
    name: 'archive-name-elsewhere',
    file: files,
    find: "part === '' || part === '.' || part === '..'",
    replace: "part === '.'",
    testFile: archiveTest,
    test: refused,
  },
  {
    name: 'archive-entries',
    file: files,
    find: 'if (this.#seen.size >= MAX_ENTRIES)',
    replace: 'if (false as boolean)',
    testFile: archiveTest,
    test: 'an archive of more entries',
  },
  {
    name: 'archive-sparse',
    file: files,
    find: "if (entry.sparse) throw this.#malformed(entry.path, 'a sparse file')",
    replace: '',
    testFile: archiveTest,
    test: refused,
  },
  {
    name: 'archive-kinds',
    file: files,
    find: "else if (entry.kind !== 'directory') throw this.#malformed(entry.path, `a ${entry.kind}`)",
    replace: '',
    testFile: archiveTest,
    test: refused,
  },
  {
    name: 'archive-document-size',
    file: 'packages/image/src/layout/layout-files.ts',
    find: '      assertSmall(found.size, `${place}: ${name}`)\n',
    replace: '',
    testFile: archiveTest,
    test: refused,
  },
  {
    name: 'saved-layer',
    file: docker,
    find: 'if (content.digest === diffId) return',
    replace: 'if (diffId !== undefined) return',
    testFile: archiveTest,
    test: saved,
  },
  {
    name: 'saved-layer-count',
    file: docker,
    find: 'if (layers.length !== diffIds.length)',
    replace: 'if (false as boolean)',
    testFile: archiveTest,
    test: saved,
  },
  {
    name: 'saved-configuration',
    file: docker,
    find: 'if (named !== undefined && named !== digestHex(content.digest))',
    replace: 'if (false as boolean)',
    testFile: archiveTest,
    test: saved,
  },
  {
    name: 'archive-over-another',
    file: `${archive}/write-archive.ts`,
    find: '  await assertAbsent(file)\n',
    replace: '  await rm(file, { force: true })\n',
    testFile: archiveTest,
    test: 'an archive is never written over',
  },
  {
    name: 'archive-left-behind',
    file: `${archive}/write-archive.ts`,
    find: '    await rm(staging, { recursive: true, force: true })\n',
    replace: '',
    testFile: archiveTest,
    test: 'an archive is never written over',
  },
  {
    name: 'layout-left-behind',
    file: `${cli}/target.ts`,
    find: 'if (!wasThere && (await isUnused(directory)))',
    replace: 'if (false as boolean)',
    testFile: `${cli}/mistakes.test.ts`,
    test: 'a layout that was made for an image goes away',
  },
  {
    name: 'layout-of-others-removed',
    file: `${cli}/target.ts`,
    find: 'if (!wasThere && (await isUnused(directory)))',
    replace: 'if (wasThere || !wasThere)',
    testFile: `${cli}/mistakes.test.ts`,
    test: 'a layout that was made for an image goes away',
  },
  {
    name: 'key-over-another',
    file: `${cli}/sign.ts`,
    find: 'if (existsSync(name))',
    replace: 'if (false as boolean)',
    testFile: `${cli}/mistakes.test.ts`,
    test: 'a key is made whole or not at all',
  },
  {
    name: 'words-of-others-as-names',
    file: `${cli}/image-address.ts`,
    find: 'if (Object.hasOwn(ELSEWHERE, word))',
    replace: 'if (false as boolean)',
    testFile: `${cli}/address.test.ts`,
    test: 'a word of other tools',
  },
  {
    name: 'tags-as-sent',
    file: tags,
    find: '      assertTag(text)\n',
    replace: '',
    testFile: 'packages/image/src/registry/tags.test.ts',
    test: 'a registry that answers with what is no tag',
  },
  {
    name: 'tags-without-end',
    file: tags,
    find: 'if (page >= MAX_PAGES)',
    replace: 'if (page >= 3000)',
    testFile: 'packages/image/src/registry/tags.test.ts',
    test: 'a list that has no end',
  },
]
