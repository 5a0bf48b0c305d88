import { defineConfig } from 'vitest/config'

const exclude = ['**/node_modules/**', '**/*.long.test.ts']

/** Puts the WebCrypto port in the place of Node's, so that the same tests hold both. */
const onWebCrypto = {
  name: 'core-on-webcrypto',
  enforce: 'pre' as const,
  load: (id: string) =>
    id.endsWith('/packages/core/node/crypto.ts')
      ? `export { webCrypto as nodeCrypto } from '../web/crypto.ts'`
      : undefined,
}

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['dot'],
    maxWorkers: 2,
    isolate: false, // a worker reads a module once for all the files that it tests: a fifth of the run
    setupFiles: 'scripts/fixed-seed.ts',
    env: { NO_COLOR: '1' }, // CI sets variables that turn colours on where nobody looks
    projects: [
      {
        extends: true,
        test: {
          name: 'all',
          globalSetup: 'scripts/test-programs.ts',
          include: [
            'packages/*/src/**/*.test.ts',
            'packages/core/{node,web}/**/*.test.ts',
            'scripts/**/*.test.ts',
            'examples/**/*.test.ts',
            'e2e/**/*.test.ts',
          ],
          exclude,
        },
      },
      {
        extends: true,
        plugins: [onWebCrypto],
        test: {
          name: 'core on WebCrypto',
          include: ['packages/core/src/{x509,ledger,evidence,agreement,token,release}/**/*.test.ts'],
          exclude,
        },
      },
    ],
  },
})
