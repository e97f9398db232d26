import type { RealtimeChannel, SupabaseClient } from '@supabase/supabase-js'
import { useCallback, useEffect, useRef } from 'react'
import { useServices } from './services'

/** What a component is told of a topic: when it has joined, so that it can read what it missed, and each event. */
export interface Listener {
  joined?: () => void
  left?: () => void
  event: (event: string, payload: Record<string, unknown>) => void
}

interface Room {
  listeners: Set<Listener>
  channel: RealtimeChannel | null
  joined: boolean
  work: Promise<void>
}

const roomsOf = new WeakMap<SupabaseClient, Map<string, Room>>()

/** Listens to a private topic, with one channel for all listeners of a client. Returns the function that ends it. */
export function listen(supabase: SupabaseClient, topic: string, listener: Listener): () => void {
  const rooms = roomsOf.get(supabase) ?? new Map<string, Room>()
  roomsOf.set(supabase, rooms)
  const room = rooms.get(topic) ?? { listeners: new Set(), channel: null, joined: false, work: Promise.resolve() }
  rooms.set(topic, room)

  // one step after the other: a channel is closed before the same topic is joined again
  const settle = () => {
    room.work = room.work.then(async () => {
      if (room.listeners.size && !room.channel) {
        const channel = supabase.channel(topic, { config: { private: true } })
        room.channel = channel
        channel.on('broadcast', { event: '*' }, ({ event, payload }) => {
          for (const one of room.listeners) one.event(event, payload as Record<string, unknown>)
        })
        channel.subscribe((status) => {
          room.joined = status === 'SUBSCRIBED'
          for (const one of room.listeners) room.joined ? one.joined?.() : one.left?.()
        })
      } else if (!room.listeners.size && room.channel) {
        const channel = room.channel
        room.channel = null
        room.joined = false
        await supabase.removeChannel(channel)
      }
    })
  }

  room.listeners.add(listener)
  if (room.joined) listener.joined?.()
  settle()
  return () => {
    room.listeners.delete(listener)
    settle()
  }
}

/** Listens to `topic` while the component is shown; null: to nothing. */
export function useTopic(topic: string | null, listener: Listener): void {
  const { supabase } = useServices()
  const latest = useRef(listener)
  useEffect(() => {
    latest.current = listener
  })
  useEffect(() => {
    if (!topic) return
    return listen(supabase, topic, {
      joined: () => latest.current.joined?.(),
      left: () => latest.current.left?.(),
      event: (event, payload) => latest.current.event(event, payload),
    })
  }, [supabase, topic])
}

/** Postgres sends a change to Realtime as it commits, which is a moment before others can read it. */
const READABLE_MS = 1000

/** Reads because of an event: at once, and again when what the event tells of can be read for sure. */
export function useReread(read: () => void): () => void {
  const latest = useRef(read)
  useEffect(() => {
    latest.current = read
  })
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(timer.current), [])
  return useCallback(() => {
    latest.current()
    clearTimeout(timer.current)
    timer.current = setTimeout(() => latest.current(), READABLE_MS)
  }, [])
}
