import { useQueryClient } from '@tanstack/react-query'
import { useCallback, useRef, useState } from 'react'
import { asProblem, type ProblemError, problemOf } from '../lib/problem'
import { useServices } from '../lib/services'
import { DOCUMENTS } from './useDocuments'

/** A file on its way to the service, or one that it did not take. */
export interface Upload {
  key: number
  file: File
  problem: ProblemError | null
}

const AT_ONCE = 2

/** Sends files, two at a time. What was taken is a document; what was not stays here with the reason. */
export function useUploads() {
  const { authorized } = useServices()
  const queries = useQueryClient()
  const [uploads, setUploads] = useState<readonly Upload[]>([])
  const waiting = useRef<Upload[]>([])
  const running = useRef(0)
  const keys = useRef(0)

  const next = useCallback(() => {
    const send = async (upload: Upload) => {
      const body = new FormData()
      body.append('file', upload.file)
      try {
        const answer = await authorized('/v1/documents', { method: 'POST', body })
        if (!answer.ok) throw await problemOf(answer)
        await queries.invalidateQueries({ queryKey: DOCUMENTS })
        setUploads((before) => before.filter((one) => one.key !== upload.key))
      } catch (error) {
        const problem = asProblem(error)
        setUploads((before) => before.map((one) => (one.key === upload.key ? { ...one, problem } : one)))
      }
    }
    while (running.current < AT_ONCE) {
      const upload = waiting.current.shift()
      if (!upload) return
      running.current += 1
      void send(upload).finally(() => {
        running.current -= 1
        next()
      })
    }
  }, [authorized, queries])

  const add = useCallback(
    (files: Iterable<File>) => {
      const added = [...files].map((file) => {
        keys.current += 1
        return { key: keys.current, file, problem: null }
      })
      setUploads((before) => [...added, ...before])
      waiting.current.push(...added)
      next()
    },
    [next],
  )
  const dismiss = useCallback((key: number) => setUploads((before) => before.filter((one) => one.key !== key)), [])
  const retry = useCallback(
    (upload: Upload) => {
      dismiss(upload.key)
      add([upload.file])
    },
    [dismiss, add],
  )
  return { uploads, add, dismiss, retry }
}
