// Words that Python programs of several tests begin with.

/** `tried(action, …)` answers "ok" or the name of the errno the action failed with. */
export const TRIED = `
import errno
def tried(action, *arguments):
    try: action(*arguments)
    except OSError as e: return errno.errorcode[e.errno]
    return "ok"
`;

/** `claim(source, destination)`: a rename that must not replace anything (RENAME_NOREPLACE); raises OSError. */
export const CLAIM = `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def claim(source, destination):
    if libc.renameat2(-100, source.encode(), -100, destination.encode(), 1) != 0: raise OSError(ctypes.get_errno(), "")
`;

/** `as_user(uid, gid, groups, action)` runs the action in a child process of that user, and answers what it returned. */
export const AS_USER = `
def as_user(uid, gid, groups, action):
    answer, say = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups(groups); os.setgid(gid); os.setuid(uid)
            said = str(action())
        except BaseException as e: said = repr(e)
        os.write(say, said.encode()); os._exit(0)
    os.close(say); os.waitpid(child, 0)
    with os.fdopen(answer) as f: return f.read()
`;
