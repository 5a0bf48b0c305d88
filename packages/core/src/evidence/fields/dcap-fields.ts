import { attribute, OID } from '../../x509/index.ts'
import { type EnclaveReport, parseEnclaveReport } from '../dcap/enclave-report.ts'
import { type DcapQuote } from '../dcap/parse-quote.ts'
import { readPckChain } from '../dcap/pck.ts'
import { isZero } from '../parsed.ts'
import { parseTdReport, type TdReport } from '../tdx/parse-td-report.ts'
import { type EvidenceField, field, flag } from './field.ts'

/** Every field of a quote: of the TD or enclave, of the quoting enclave, and of the platform's certificate. */
export async function quoteFields(quote: DcapQuote): Promise<readonly EvidenceField[]> {
  const body =
    quote.bodyKind === 'sgx'
      ? enclaveFields('', parseEnclaveReport('quote: report', quote.body))
      : quoteBodyFields(parseTdReport(quote.body, quote.bodyKind))
  const qe = parseEnclaveReport('quote: qe_report', quote.qe.report)
  return [
    field('version', quote.version, 'layout of the quote'),
    ...body,
    field('QE.MRSIGNER', qe.mrSigner, 'who made the quoting enclave; Intel’s collateral says who may'),
    field('QE.ISVPRODID', qe.isvProdId, 'which product of its maker it is'),
    field('QE.ISVSVN', qe.isvSvn, 'its security version'),
    ...(await pckFields(quote)),
  ]
}

/** Every field of a TD's report. */
export function quoteBodyFields(td: TdReport): readonly EvidenceField[] {
  const { attributes: a } = td
  return [
    field('TEE_TCB_SVN', td.teeTcbSvn, 'versions of the TDX module and its loader when the TD was launched'),
    field('MRSEAM', td.mrSeam, 'measurement of the TDX module'),
    field('MRSIGNERSEAM', td.mrSignerSeam, isZero(td.mrSignerSeam) ? 'the module is Intel’s' : 'who signed the module'),
    field('SEAMATTRIBUTES', td.seamAttributes, 'attributes of the module'),
    flag('TDATTRIBUTES.DEBUG', a.debug, 'THE HOST MAY READ AND CHANGE THE TD', 'debugging excluded'),
    flag('TDATTRIBUTES.LASS', a.lass, 'linear address space separation on', 'linear address space separation off'),
    flag(
      'TDATTRIBUTES.SEPT_VE_DISABLE',
      a.septVeDisable,
      'taking pages away raises no exception in the TD',
      'the host can raise exceptions in the TD by taking pages away',
    ),
    flag('TDATTRIBUTES.MIGRATABLE', a.migratable, 'a migration TD may move it elsewhere', 'it stays on its platform'),
    flag('TDATTRIBUTES.PKS', a.protectionKeys, 'supervisor protection keys on', 'supervisor protection keys off'),
    flag('TDATTRIBUTES.KL', a.keyLocker, 'key locker on', 'key locker off'),
    flag('TDATTRIBUTES.PERFMON', a.perfmon, 'performance counters on', 'performance counters off'),
    field('XFAM', `0x${td.xfam.toString(16)}`, 'processor features that the TD may use'),
    field('MRTD', td.mrTd, 'of the TD’s initial memory: usually the firmware and nothing else'),
    field('MRCONFIGID', td.mrConfigId, 'chosen by the host at launch'),
    field('MROWNER', td.mrOwner, 'chosen by the host at launch'),
    field('MROWNERCONFIG', td.mrOwnerConfig, 'chosen by the host at launch'),
    field('RTMR0', td.rtmrs[0], 'configuration of the firmware: variables, tables, devices'),
    field('RTMR1', td.rtmrs[1], 'boot loader and kernel'),
    field('RTMR2', td.rtmrs[2], 'kernel command line and initial RAM disk'),
    field(
      'RTMR3',
      td.rtmrs[3],
      isZero(td.rtmrs[3]) ? 'nothing measured by the running system' : 'measured by the running system',
    ),
    field('REPORTDATA', td.reportData, 'chosen by the TD: what the quote answers to'),
    ...(td.teeTcbSvn2 === undefined
      ? []
      : [field('TEE_TCB_SVN2', td.teeTcbSvn2, 'versions of the module that runs now')]),
    ...(td.mrServiceTd === undefined
      ? []
      : [
          field(
            'MRSERVICETD',
            td.mrServiceTd,
            isZero(td.mrServiceTd) ? 'no service TD is bound to it' : 'service TDs bound to it',
          ),
        ]),
  ]
}

function enclaveFields(prefix: string, e: EnclaveReport): readonly EvidenceField[] {
  const name = (spelled: string) => `${prefix}${spelled}`
  return [
    field(name('CPUSVN'), e.cpuSvn, 'security versions of the processor’s components'),
    field(name('MISCSELECT'), e.miscSelect, 'extra state that is saved when the enclave is left'),
    flag(name('ATTRIBUTES.DEBUG'), e.debug, 'THE HOST MAY READ AND CHANGE THE ENCLAVE', 'debugging excluded'),
    field(name('ATTRIBUTES'), e.attributes, 'flags and processor features, 8 bytes each'),
    field(name('MRENCLAVE'), e.mrEnclave, 'measurement of the enclave'),
    field(name('MRSIGNER'), e.mrSigner, 'who signed the enclave'),
    field(name('CONFIGID'), e.configId, 'chosen by the host at launch'),
    field(name('ISVPRODID'), e.isvProdId, 'which product of its signer it is'),
    field(name('ISVEXTPRODID'), e.isvExtProdId, 'the same, in 16 bytes'),
    field(name('ISVFAMILYID'), e.isvFamilyId, 'which family of products it belongs to'),
    field(name('ISVSVN'), e.isvSvn, 'its security version'),
    field(name('CONFIGSVN'), e.configSvn, 'security version of the configuration'),
    field(name('REPORTDATA'), e.reportData, 'chosen by the enclave: what the quote answers to'),
  ]
}

async function pckFields(quote: DcapQuote): Promise<readonly EvidenceField[]> {
  const { leaf, pck } = await readPckChain(quote.pckChain)
  return [
    field(
      'PCK.issuer',
      attribute(leaf.issuer, OID.commonName) ?? '',
      'which of Intel’s CAs says to certify the platform',
    ),
    field('PCK.notAfter', leaf.notAfter.toISOString(), 'how long the platform’s certificate holds'),
    field('PCK.PPID', pck.ppid, 'names the platform'),
    field('PCK.FMSPC', pck.fmspc, 'family, model, stepping and type: which TCB info applies'),
    field('PCK.PCEID', pck.pceId, 'which provisioning enclave certified the quoting enclave'),
    field('PCK.PCESVN', pck.pceSvn, 'its security version'),
    field('PCK.CPUSVN', pck.cpuSvn, 'security versions that the certificate was issued for'),
    field('PCK.SGX TCB components', pck.componentSvns.join(' '), 'the same, component by component'),
    field('PCK.SGX type', pck.sgxType, 'how its memory is protected'),
    ...(pck.platformInstanceId === undefined
      ? []
      : [field('PCK.platform instance', pck.platformInstanceId, 'names the machine of several packages')]),
    ...(pck.configuration === undefined
      ? []
      : [
          flag(
            'PCK.dynamic platform',
            pck.configuration.dynamicPlatform,
            'packages may be added',
            'packages are fixed',
          ),
          flag('PCK.SMT', pck.configuration.smtEnabled, 'multithreading was on', 'multithreading was off'),
        ]),
  ]
}
