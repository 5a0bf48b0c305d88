import { defineConfig } from 'vitest/config'

/** The minutes: fuzzing, races, crash loops. `npm run test:long` */
export default defineConfig({
  test: {
    globalSetup: 'scripts/test-programs.ts',
    include: ['packages/*/src/**/*.long.test.ts', 'e2e/**/*.long.test.ts'],
    testTimeout: 900_000,
    hookTimeout: 120_000,
  },
})
