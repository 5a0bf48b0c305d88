import { expect, test } from 'vitest'
import { checkAddress, checkLiteralHost } from './address-rules.ts'

test.each([
  '169.254.169.254',
  '169.254.0.1',
  '0.0.0.0',
  '100.100.100.200',
  '168.63.129.16',
  '224.0.0.1',
  '255.255.255.255',
  'fe80::1',
  'fd00:ec2::254',
  '::',
  'ff02::1',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '64:ff9b::a9fe:a9fe',
  '2002:a9fe:a9fe::1',
  '::169.254.169.254',
])('H13 %s is never connected to, not even for a host of a private network', (address) => {
  expect(() => checkAddress(address, 'registry.example', true)).toThrow(
    expect.objectContaining({ code: 'registry.address' }),
  )
})

test.each([
  '10.1.2.3',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '127.0.0.1',
  '100.64.0.1',
  '::1',
  'fd12::1',
  'fec0::1',
  '::ffff:127.0.0.1',
  '64:ff9b::a00:1',
])('H13 %s is connected to only when the host may be private', (address) => {
  expect(() => checkAddress(address, 'registry.example', false)).toThrow(
    expect.objectContaining({ code: 'registry.address' }),
  )
  expect(() => checkAddress(address, 'registry.example', true)).not.toThrow()
})

test('public addresses are connected to', () => {
  for (const address of ['1.1.1.1', '172.32.0.1', '2606:4700::1111', '::ffff:8.8.8.8'])
    expect(() => checkAddress(address, 'registry.example', false)).not.toThrow()
})

test.each([
  'https://2852039166/',
  'https://0xa9fea9fe/',
  'https://0251.0376.0251.0376/',
  'https://169.254.43518/',
  'https://[::ffff:169.254.169.254]/',
])('H13 %s is seen for the metadata address it is', (text) => {
  const url = new URL(text)
  expect(() => checkLiteralHost(url.hostname, url.host, true)).toThrow(
    expect.objectContaining({ code: 'registry.address' }),
  )
})
