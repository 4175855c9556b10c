// An FTP server whose root is on the mount: uploads under a temporary name, renamed when they are complete.

import { behaviours } from "../../helpers/settings.ts";
import { bytes, comesToBe } from "../../programs/trees.ts";

const behaviour = behaviours();

/** Starts pyftpdlib on the current folder and runs `acts` with a client that is logged in. */
const withServer = (acts: string): string => `
import ftplib, hashlib, io, subprocess, sys, time
server = subprocess.Popen([sys.executable, "-c", """
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import ThreadedFTPServer
users = DummyAuthorizer(); users.add_user("user", "secret", ".", perm="elradfmwMT")
FTPHandler.authorizer = users; FTPHandler.use_sendfile = True
server = ThreadedFTPServer(("127.0.0.1", 0), FTPHandler); print(server.address[1], flush=True); server.serve_forever()
"""], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
try:
    client = ftplib.FTP(); client.connect("127.0.0.1", int(server.stdout.readline()), timeout=60); client.login("user", "secret")
${acts.replaceAll(/^/gm, "    ")}
    client.quit()
finally: server.kill(); server.wait()
`;

behaviour(
  "files uploaded by FTP under a temporary name and renamed are objects of their last name",
  async (place) => {
    const { t, server, top, python, objects } = place;
    const data = bytes(9_000_000);
    await server.put(`${top}/source`, data);
    const said = await python(
      withServer(`
data = open("source", "rb").read()
client.mkd("incoming")
for name in ("a.jpg", "b.jpg", "a.jpg"):
    client.storbinary(f"STOR incoming/.{name}.part", io.BytesIO(data)); client.rename(f"incoming/.{name}.part", f"incoming/{name}")
client.cwd("incoming"); names = sorted(client.nlst()); client.voidcmd("TYPE I"); print(names, client.size("a.jpg"))
down = hashlib.sha256(); client.retrbinary("RETR a.jpg", down.update); print(down.digest() == hashlib.sha256(data).digest())
client.delete("b.jpg"); print(client.nlst())`),
    );
    t.is(said, "['a.jpg', 'b.jpg'] 9000000\nTrue\n['a.jpg']\n");
    t.true((await server.get(`${top}/incoming/a.jpg`))?.equals(data));
    await comesToBe(t, objects, ["incoming/", "incoming/a.jpg", "source"]);
  },
);

behaviour("an upload by FTP that was broken off goes on where it was", async (place) => {
  const { t, server, top, python } = place;
  const data = bytes(9_000_000);
  await server.put(`${top}/source`, data);
  const said = await python(
    withServer(`
data = open("source", "rb").read()
client.storbinary("STOR file", io.BytesIO(data[:4000001])); print(client.size("file"))
client.storbinary("STOR file", io.BytesIO(data[4000001:6000000]), rest=4000001)
client.storbinary("APPE file", io.BytesIO(data[6000000:])); print(client.size("file"))
client.sendcmd("MFMT 20010203040506 file"); print(client.sendcmd("MDTM file")); client.sendcmd("SITE CHMOD 640 file")`),
  );
  t.is(said, "4000001\n9000000\n213 20010203040506\n");
  t.true((await server.get(`${top}/file`))?.equals(data));
});
