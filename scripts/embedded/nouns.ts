// Common concrete nouns: each becomes one entry of the vocabulary, so that a drawn answer is one token.

const text = `
apple apples arm army baby back bag ball band bank barn basket bath beach bean bear beard bed bee bell belt bench
bird blanket blood board boat body bone book boot bottle bowl box boy bread brick bridge brother brush bucket
building bus butter button cabin cake camel camera camp candle cap car card carpet cart castle cat cave chain chair
chalk cheese cherry chest chicken child church circle city clay clock cloth cloud coal coat coffee coin comb cook
copper corn corner cotton cow cream crown cup curtain dance daughter desk diamond dinner dish doctor dog doll door
dragon drawer dress drum duck dust eagle ear earth egg elephant engine eye face family farm farmer father feather
fence field finger fire fish flag floor flour flower fly foot forest fork fox frog fruit game garden gate ghost giant
gift girl glass glove goat gold grape grass gun hair hall hammer hand harbor hat head heart hen hill honey hook horn
horse hospital hotel house ice iron island jacket jar jewel juice kettle key king kitchen kite knee knife knight
ladder lady lake lamb lamp land leaf leather leg lemon letter library light lion lip lock lunch machine magnet map
market mask match meadow meal meat metal milk mill mirror money monkey moon mother mountain mouse mouth mud music
nail neck needle nest net newspaper night nose nurse nut oak ocean office oil onion orange oven owl page paint palace
pan paper park parrot path peach pear pen pencil people pepper piano picture pie pig pillow pin pipe plane planet
plant plate pocket poet pond pool potato prince prison queen rabbit rain ring river road robe rock roof room root
rope rose rug sail salt sand school sea seat seed sheep shelf shell ship shirt shoe shop shoulder silk silver singer
sister skin sky sleeve smoke snake snow soap sock soldier son song soup spider spoon spring square stable stair stamp
star station steam steel stick stomach stone storm stove straw stream street string sugar suit summer sun sword table
tail tea teacher temple tent thread throat thumb thunder ticket tiger tin toe tomato tongue tool tooth tower town toy
train tree triangle truck tunnel turtle umbrella uncle valley vase village violin voice wagon wall watch water wave
wax weather wheat wheel whistle wife wind window wine wing winter witch wolf woman wood wool world yard
`;

export const NOUNS: readonly string[] = [...new Set(text.trim().split(/\s+/))];
