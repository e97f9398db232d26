import { useServices } from '../lib/services'

export default function SignInPage() {
  const { supabase } = useServices()
  return (
    <form
      action={async (form) => {
        await supabase.auth.signInWithPassword({
          email: String(form.get('email')),
          password: String(form.get('password')),
        })
      }}
    >
      <input name="email" aria-label="Email" type="email" />
      <input name="password" aria-label="Password" type="password" />
      <button type="submit">Sign in</button>
    </form>
  )
}
