import type { Mutant } from './mutants-list.ts'

const walks = 'packages/core/src/x509/walked-chains.ts'
const walksTest = 'packages/core/src/x509/walked-chains.test.ts'
const verifyChain = 'packages/core/src/x509/verify-chain.ts'
const memo = 'packages/core/src/x509/endorsement-memo.ts'
const memoTest = 'packages/core/src/x509/endorsement-memo.test.ts'
const quote = 'packages/core/src/evidence/dcap/verify-quote.ts'
const quoteTest = 'packages/core/src/evidence/tdx/verify-tdx-quote.test.ts'

/** What is remembered of endorsements, found again by less than it rests on. */
export const ENDORSEMENT_MUTANTS: readonly Mutant[] = [
  {
    name: 'memo-part-of-bytes',
    file: memo,
    find: ' && sameBytes(known.bytes, bytes)',
    replace: '',
    testFile: memoTest,
    test: 'one that differs anywhere is made anew',
  },
  {
    name: 'memo-other-meaning',
    file: memo,
    find: 'known.what === what && ',
    replace: '',
    testFile: memoTest,
    test: 'one that differs anywhere is made anew',
  },
  {
    name: 'memo-bytes-not-kept',
    file: memo,
    find: 'const kept = new Uint8Array(bytes)',
    replace: 'const kept = bytes',
    testFile: memoTest,
    test: 'whoever writes to bytes afterwards',
  },
  {
    name: 'memo-unbounded',
    file: memo,
    find: 'this.#known.size >= this.#maxEntries',
    replace: 'false as boolean',
    testFile: memoTest,
    test: 'no more is kept than fits',
  },
  {
    name: 'octets-prefix',
    file: 'packages/core/src/x509/known-octets.ts',
    find: 'if (bytes[i] !== entry.octets[i - from]) return undefined',
    replace: 'if (bytes[i] === undefined) return undefined',
    testFile: memoTest,
    test: 'octets that were read before are found by all of them',
  },
  {
    name: 'walk-at-any-time',
    file: walks,
    find: 'if (!(now >= walk.from && now < walk.until)) return undefined',
    replace: 'if (Number.isNaN(now)) return undefined',
    testFile: walksTest,
    test: 'D09 B04 a chain that held is refused at a time when',
  },
  {
    name: 'walk-after-its-end',
    file: walks,
    find: 'now >= walk.from && now < walk.until',
    replace: 'now >= walk.from',
    testFile: walksTest,
    test: 'at a time when the intermediate’s list was due',
  },
  {
    name: 'walk-before-its-lists',
    file: walks,
    find: ', ...lists.map((list) => list.thisUpdate.getTime())',
    replace: '',
    testFile: walksTest,
    test: 'at a time when the intermediate’s list was not made',
  },
  {
    name: 'walk-by-other-lists',
    file: walks,
    find: 'this.#numbers.get(list) === walk.lists[i]',
    replace: 'list !== undefined && i >= 0',
    testFile: walksTest,
    test: 'refused by a list that came since',
  },
  {
    name: 'walk-without-lists',
    file: walks,
    find: 'lists.length === walk.lists.length && ',
    replace: '',
    testFile: walksTest,
    test: 'refused by a list that came since, and for want of one',
  },
  {
    name: 'walk-other-thoroughness',
    file: walks,
    find: " &&\n      (revocation === 'not-checked' ? revocation : revocation.require) === walk.require",
    replace: '',
    testFile: walksTest,
    test: 'refused where every list is wanted',
  },
  {
    name: 'walk-other-key-usage',
    file: walks,
    find: 'request.leafKeyUsage === walk.leafKeyUsage &&',
    replace: '',
    testFile: walksTest,
    test: 'refused for another',
  },
  {
    name: 'walk-other-purpose',
    file: walks,
    find: 'request.extendedKeyUsage === walk.extendedKeyUsage &&',
    replace: '',
    testFile: walksTest,
    test: 'refused for another',
  },
  {
    name: 'walk-unhandled-extension',
    file: walks,
    find: ' || !same(handledCritical, walk.handledCritical)',
    replace: '',
    testFile: walksTest,
    test: 'refused to who does not',
  },
  {
    name: 'walk-other-anchors',
    file: walks,
    find: '!same(request.anchors, walk.anchors) || ',
    replace: '',
    testFile: walksTest,
    test: 'E06 a chain that held is refused under other anchors',
  },
  {
    name: 'walk-other-intermediates',
    file: walks,
    find: ' || !same(request.intermediates, walk.intermediates)',
    replace: '',
    testFile: walksTest,
    test: 'and without its intermediate',
  },
  {
    name: 'walk-past-somebody',
    file: verifyChain,
    find: 'if (search.refusedNobody) memo',
    replace: 'memo',
    testFile: walksTest,
    test: 'leads past him only as long as he has',
  },
  {
    name: 'quote-judged-by-other-chain',
    file: quote,
    find: 'last?.chain === chain && last.collateral',
    replace: 'last?.collateral',
    testFile: quoteTest,
    test: 'where its chain is walked anew',
  },
]
