import type { Mutant } from './mutants-list.ts'

const image = 'packages/image/src'
const diff = `${image}/diff/diff-images.test.ts`
const rebuild = `${image}/diff/check-rebuild.ts`
const cli = 'packages/cli/src/commands/image'
const shown = 'H09 what an image says of itself'

/** The checks of what people are told of an image before they approve it, removed one at a time. */
export const IMAGE_SHOWING_MUTANTS: readonly Mutant[] = [
  {
    name: 'rebuild-holes',
    file: rebuild,
    find: 'if (offset !== end) hash.update(`hole up to ${offset}`)',
    replace: '',
    testFile: `${image}/diff/check-rebuild.test.ts`,
    test: 'H23 two sparse files of the same bytes',
  },
  {
    name: 'rebuild-sparse',
    file: rebuild,
    find: "sparse: entry.sparse ? 'yes' : 'no',",
    replace: "sparse: '',",
    testFile: `${image}/diff/check-rebuild.test.ts`,
    test: 'H23 times, owners and order',
  },
  {
    name: 'diff-stored-size',
    file: `${image}/diff/read-contents.ts`,
    find: '  for (const { layer } of layers) meter.checkStored(layer.descriptor)\n',
    replace: '',
    testFile: diff,
    test: 'H10 a layer that is stored in more than it may hold is not read',
  },
  {
    name: 'diff-devices',
    file: `${image}/diff/read-contents.ts`,
    find: "devices: 'create', fifos: 'create'",
    replace: "devices: 'drop', fifos: 'drop'",
    testFile: diff,
    test: 'H09 devices, FIFOs and file capabilities',
  },
  {
    name: 'diff-capabilities',
    file: `${image}/diff/diff-images.ts`,
    find: "    ...(JSON.stringify(a.attributes) === JSON.stringify(b.attributes) ? [] : ['attributes']),\n",
    replace: '',
    testFile: diff,
    test: 'H09 devices, FIFOs and file capabilities',
  },
  {
    name: 'diff-attributes-held',
    file: `${image}/diff/recording-disk.ts`,
    find: 'this.#countCaptured(name.length + value.length, path)',
    replace: 'void 0',
    testFile: diff,
    test: 'H10 attributes count like what is kept',
  },
  {
    name: 'rebuild-attributes',
    file: rebuild,
    find: '      attributes: [...entry.xattrs]\n',
    replace: '      attributes: [...new Map<string, Uint8Array>()]\n',
    testFile: `${image}/diff/check-rebuild.test.ts`,
    test: 'H23 times, owners and order',
  },
  {
    name: 'show-as-written',
    file: `${cli}/show.ts`,
    find: 'lines.map(printable)',
    replace: 'lines',
    testFile: `${cli}/image.test.ts`,
    test: shown,
  },
  {
    name: 'diff-as-written',
    file: `${cli}/diff.ts`,
    find: 'toLines(diff).map(printable)',
    replace: 'toLines(diff)',
    testFile: `${cli}/image.test.ts`,
    test: shown,
  },
  {
    name: 'shown-backwards',
    file: 'packages/cli/src/printable.ts',
    find: '\\u202a-\\u202e',
    replace: '',
    testFile: `${cli}/image.test.ts`,
    test: shown,
  },
  {
    name: 'refusal-as-written',
    file: 'packages/cli/src/report.ts',
    find: "code === 'internal' ? message : printable(message)",
    replace: 'message',
    testFile: 'packages/cli/src/report.test.ts',
    test: 'H09 a refusal cannot write',
  },
  {
    name: 'check-as-written',
    file: `${cli}/build.ts`,
    find: 'printable(cause)',
    replace: 'cause',
    testFile: `${cli}/image.test.ts`,
    test: shown,
  },
  {
    name: 'repaired-as-written',
    file: `${cli}/pull.ts`,
    find: 'printable(difference)',
    replace: 'difference',
    testFile: `${cli}/image.test.ts`,
    test: 'H09 nor can a file that was put into the store',
  },
]
