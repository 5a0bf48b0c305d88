import { expect, test } from 'vitest'
import { type Platform, samePlatform } from './platform.ts'

const linux = (architecture: string, variant?: string): Platform => ({
  os: 'linux',
  architecture,
  ...(variant === undefined ? {} : { variant }),
})

test.each<[string, Platform, Platform, boolean]>([
  ['arm64 and arm64/v8', linux('arm64'), linux('arm64', 'v8'), true],
  ['amd64 and amd64/v1', linux('amd64', 'v1'), linux('amd64'), true],
  ['amd64 and amd64/v3', linux('amd64'), linux('amd64', 'v3'), false],
  ['arm/v6 and arm/v7', linux('arm', 'v6'), linux('arm', 'v7'), false],
  ['arm64/v8 and amd64', linux('arm64', 'v8'), linux('amd64'), false],
])('whether %s are one platform', (_which, one, other, same) => {
  expect([samePlatform(one, other), samePlatform(other, one)]).toEqual([same, same])
})
