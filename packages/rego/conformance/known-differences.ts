export type KnownDifference = { readonly suite: string; readonly id: string; readonly why: string }

const needsTestFunction = 'calls a function that only the test build of OPA has'

/** Cases that are not run, one by one, each with its reason. Nothing that field policies use may stand here. */
export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  { suite: 'wasm-assets', id: '018_builtins.yaml#118', why: needsTestFunction },
  { suite: 'wasm-assets', id: '018_builtins.yaml#119', why: needsTestFunction },
  { suite: 'wasm-assets', id: '019_call_indirect_optimization.yaml#6', why: needsTestFunction },
  {
    suite: 'wasm-assets',
    id: '018_builtins.yaml#23',
    why: 'wants the digits of a double; OPA itself divides with a 64-bit mantissa, and so do we',
  },
  { suite: 'wasm-assets', id: '018_builtins.yaml#29', why: 'wants a set in order of insertion; sets are sorted' },
  { suite: 'wasm-assets', id: '018_builtins.yaml#31', why: 'wants a set in order of insertion; sets are sorted' },
]
