import type { AuthError } from '@supabase/supabase-js'
import type { Texts } from '../i18n/texts'

/** What Supabase Auth refuses, in the user's words. */
export function messageOf(error: AuthError, texts: Texts['account']): string {
  switch (error.code) {
    case 'invalid_credentials':
      return texts.wrong
    case 'user_already_exists':
    case 'email_exists':
      return texts.taken
    case 'weak_password':
      return texts.weak
    case 'email_not_confirmed':
      return texts.unconfirmed
    case 'email_address_invalid':
    case 'validation_failed':
      return texts.badEmail
    case 'over_request_rate_limit':
    case 'over_email_send_rate_limit':
      return texts.tooMany
    default:
      // without a status nothing has answered; any other refusal says itself why
      return error.status && error.status < 500 ? error.message : texts.noAnswer
  }
}
