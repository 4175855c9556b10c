// Pictures and films: ImageMagick writes and replaces pictures, ffmpeg goes back in a film it has written.

import { behaviours } from "../../helpers/settings.ts";
import { comesToBe } from "../../programs/trees.ts";

const behaviour = behaviours();

behaviour("ImageMagick makes pictures, thumbnails of them, and changes them in place", async (place) => {
  const { t, server, top, shell, objects } = place;
  const said = await shell(`
    convert -size 1600x1200 plasma:fractal -seed 7 photo.jpg
    convert photo.jpg -resize 200x200 thumbnail.png; mogrify -rotate 90 thumbnail.png
    mkdir many; for i in 1 2 3 4; do convert photo.jpg -crop 400x300+$((i * 50))+0 +repage many/$i.gif & done; wait
    mogrify -format jpg -path many many/*.gif; convert many/*.gif sheet.tiff; convert photo.jpg photo.jpg photo.jpg
    identify -format '%w %h %m\\n' thumbnail.png many/3.jpg; identify sheet.tiff | wc -l; identify -regard-warnings photo.jpg > /dev/null`);
  t.is(said, "150 200 PNG\n400 300 JPEG\n4\n");
  await comesToBe(t, objects, [
    "many/",
    ...[1, 2, 3, 4].flatMap((i) => [`many/${i}.gif`, `many/${i}.jpg`]),
    "photo-0.jpg",
    "photo-1.jpg",
    "photo.jpg",
    "sheet.tiff",
    "thumbnail.png",
  ]);
  t.is((await server.stat(`${top}/thumbnail.png`))?.contentType, "image/png");
});

behaviour("ffmpeg -movflags +faststart moves the index of a film to its front", async (place) => {
  const { t, server, top, shell, objects } = place;
  await shell(`
    film() { ffmpeg -nostdin -loglevel error -y "$@"; }
    film -f lavfi -i testsrc=duration=8:size=640x480:rate=25 -c:v mpeg4 -q:v 2 plain.mp4
    film -i plain.mp4 -c copy -movflags +faststart fast.mp4`);
  const [plain, fast] = await Promise.all(["plain", "fast"].map((name) => server.get(`${top}/${name}.mp4`)));
  t.true((plain?.indexOf("moov") ?? 0) > (plain?.indexOf("mdat") ?? 0));
  t.true((fast?.indexOf("moov") ?? Infinity) < (fast?.indexOf("mdat") ?? 0));
  const frames = "-count_frames -select_streams v -show_entries stream=nb_read_frames -of csv=p=0";
  t.is(await shell(`for film in plain fast; do ffprobe -v error ${frames} $film.mp4; done`), "200\n200\n");
  await comesToBe(t, objects, ["fast.mp4", "plain.mp4"]);
});
