"""The words by which answers are announced, endorsed, denied and refused: one row a language.

Words are separated by `|` and may hold regular expressions; a space matches any white space. All languages are tried on
every text, since models often answer a Malay question in English or Chinese. Texts are matched in lower case and in
NFKC, and so are these words (NFKC splits Thai SARA AM, for instance).
"""

from __future__ import annotations

from typing import NamedTuple


class Cue(NamedTuple):
    """One language's words.

    Attributes:
        answer: nouns for an answer ("the *answer* is B").
        option: nouns for an option; they announce an answer only beside `right` or right before a colon.
        right: adjectives that make an option the answer ("the *correct* option is B", "B is *correct*").
        chosen: adjectives that announce beside an option ("the *likely* option is B") but endorse nothing.
        link: copulas between announcement and answer, or between an option and `right`.
        question: words that open another question ("*Question*: ...").
        passage: words that open another passage.
        choose: "I *choose* B".
        so: words before a conclusion ("*so* B").
        but: words before the affirmed half of a denial ("not A *but* B").
        because: words that may follow a bare letter ("B *because* ...").
        both: words between two options that are named together ("A *and* B").
        either: words before another option that may be meant as well ("A, *or* B").
        no: negations.
        condition: words before an announcement that claims nothing ("*if* the answer is B").
        refusal: phrases that decline to answer.
        none: phrases in the place of the answer when there is none ("the answer is *not listed*").
        pronoun: subjects of a bare conclusion ("*it* is B").
        wait: words that take back what was said ("A. *Wait*, B").
        yes: words that affirm an option where each is judged ("A: no, B: *yes*"), beside `right`.
        sure: words of a last clause that only says how sure the writer is ("B, but I am not *sure*").
        words: capital letters that are words of the language, so that one before another word is no label.
        labels: the language's own letters for options, in order.
    """

    answer: str
    option: str
    right: str
    link: str
    question: str
    passage: str
    chosen: str = ""
    choose: str = ""
    so: str = ""
    but: str = ""
    because: str = ""
    both: str = ""
    no: str = ""
    condition: str = ""
    refusal: str = ""
    none: str = ""
    pronoun: str = ""
    wait: str = ""
    yes: str = ""
    either: str = ""
    sure: str = ""
    words: str = ""
    labels: str = ""


# fmt: off
CUES: dict[str, Cue] = {
    "en": Cue(answer="answers?|final decision|final verdict|ans|letter(?=:)|my choice(?=:)|choice(?=:)|"
        "guess",
        option="option|choice|response|one|statement|conclusion|letter|selection|verdict|pick",
        right="correct|right|best|better(?! than)|most (?:appropriate|accurate|suitable)|appropriate|accurate|"
        "suitable",
        link="is|was|would be|should be|must be|will be|has to be|seems to be|appears to be|remains",
        question="question|q|here is a question|answer the following question",
        passage="passage|text|context|consider the following passage|read this text",
        chosen="proper|fitting|likely|most likely|closest|final|selected|chosen",
        choose="choose|chose|pick|select|selected|go with|opt for|going with|supports(?= (?:option|choice|"
        "answer))|matches(?= (?:option|choice|answer))|corresponds to(?= (?:option|choice|answer))|leaves|leaving|"
        "favou?rs|points to|settle on|"
        "(?:going to|gonna|would|will|have to|d) (?:say|pick|choose|guess)",
        so="so|thus|hence|therefore|consequently|in conclusion|conclusion|overall",
        but="but|but rather|rather|instead",
        because="because|since|as|for|which|that|based|due|with|therefore|from|given",
        both="and|or|and/or|as well as",
        no="not|cannot|no|never|neither|nor|none|except|incorrect|wrong|false|unlikely|rather than|instead of|"
        r"unlike|eliminate|eliminated|rule out|ruled out|exclude|\w{1,9}n't",
        condition="if|whether|suppose|assuming|unless|(?:don't|do not|doesn't|not) (?:think|believe|sure)|"
        "doubt",
        refusal="none of (?:the|these|those|them)|(?:can ?not|can't|unable to|could not|difficult to|"
        r"impossible to) (?:\w{1,20} )?(?:answer|determine|provide|generate|tell|choose|decide|say|assist|help)|"
        "as an (?:ai|artificial)|sorry|not enough (?:information|context)|answer is not|please (?:provide|answer|"
        "choose|select)|error in the|don't know|do not know",
        none=r"none|neither|not (?:\w{1,12} ){0,2}(?:listed|among|given|provided|available|present|here|clear|"
        "possible)|unclear|unknown|not any",
        pronoun="it|this|that", wait="wait|hold on|no(?=[,:])|nope|sorry|oops|actually|scratch that|correction|"
        r"on second thought|made a mistake|let me (?:re\w*|correct|double|check|verify|think again)|hmm",
        words="AI", yes="true|yes", either="or", sure="sure|certain|confident"),
    "zh": Cue(answer="答案|回答|正解|答(?=:)", option="选项|选择|選項|選擇|项|項",
        right="正确|正確|准确|準確|恰当|恰當|合适|合適|对的|符合(?:题意|題意|要求|条件|條件)",
        link="应该?是|應該?是|应为|應為|就是|是|为|為", question="问题|問題|题目|題目|问|問",
        passage="文章|短文|阅读|閱讀|背景",
        choose="的(?:是|为)|应选择?|應選擇?|故选择?|故選擇?|应该选择?|可选择?|选择(?!项)|選擇(?!項)|选(?!项|"
        "择)|選(?!項|擇)",
        so="因此|所以|故|只有|可见|可見|显然|顯然|认为|認為|综上|綜上|结论", but="而是|是(?<=,是)",
        because="因为|因為|由于|由於|吧|项|項|选项|選項", both="和|或者?|及|与|與|还是|還是",
        no="不|没|沒|非(?!洲|常)|无|無|错|錯|未", condition="如果|若|假如|假设|假設|是否",
        refusal="无法|無法|抱歉|对不起|對不起|不确定|不確定|不知道|没有正确|沒有正確|以上都不|都不正确|"
        "都不正確",
        none="以上都不|都不|没有|沒有", labels="甲乙丙丁戊",
        wait="等等|不对(?=,)|不對(?=,)|更正|其实|其實|实际上|實際上|不不|哦不",
        yes="是", either="或者?", sure="不(?:太|很)?(?:确定|確定)"),
    "vi": Cue(answer="đáp án|câu trả lời|trả lời", option="lựa chọn|phương án|kết luận|nhận định|câu",
        right="đúng|chính xác|phù hợp|hợp lý|tốt nhất", link="sẽ là|chính là|mới là|mới|là", question="câu hỏi|hỏi",
        passage="đoạn văn|văn bản|bài đọc|ngữ cảnh", choose="chọn|nghĩ là", so="vậy|nên|do đó|vì vậy|vì thế|tóm lại",
        wait="không(?=,)|khoan|đính chính|à không|nhầm|thực ra",
        but="mà là", because="vì|bởi|do|dựa|nhé|nha", both="và|hoặc|hay", no="không|chẳng|chưa|sai",
        condition="nếu|giả sử",
        refusal="xin lỗi|không thể (?:trả lời|xác định)|không có (?:đáp án|lựa chọn|phương án)|không đủ|"
        "không biết",
        none="không có", words="A", yes="có", either="hoặc|hay", sure="chắc"),
    "es": Cue(answer="respuesta|solución", option="opción|alternativa|elección|afirmación|inciso|letra|literal",
        right="correct[ao]|adecuad[ao]|apropiad[ao]|acertad[ao]|precis[ao]|mejor|verdader[ao]",
        link="es|está|sería|será|debe ser|debería ser", question="pregunta", passage="texto|pasaje|contexto",
        chosen="probable|elegida|final", choose="elijo|elegiría|escojo|escogería|selecciono|me quedo con|opto por",
        so="por (?:lo )?tanto|así que|entonces|luego", but="sino", because="porque|ya que|pues|debido|puesto|dado",
        both="y|o|e|u", no="no|nunca|ningun[oa]?|ningún|incorrect[oa]|fals[oa]|excepto|sin", condition="si|no creo",
        refusal="lo siento|no (?:puedo|es posible|tengo|hay|sé)|ningun[ao] de l[ao]s", none="ningun[ao]",
        words="AEOY",
        wait="espera|espere|perdón|corrección|mejor dicho|en realidad|me equivoqué",
        yes="sí", either="o", sure="segur[oa]"),
    "id": Cue(answer="jawaban(?:nya)?|jawa[bp]annya", option="pilihan|opsi|pernyataan|huruf|titik",
        right="benar|tepat|sesuai|akurat", link="adalah|ialah|yaitu|merupakan", question="pertanyaan|soal",
        passage="bacaan|teks|konteks", choose="memilih|pilih|saya pilih",
        so="jadi|maka|oleh karena itu|kesimpulan(?:nya)?", but="melainkan|tetapi", because="karena|sebab|disebabkan",
        both="dan|atau|dan/atau", no="tidak|bukan|tak|tanpa|salah|kecuali|belum|tiada",
        condition="jika|kalau|apabila", refusal="maaf|tidak (?:dapat|bisa|boleh|ada|cukup|tahu)", none="tidak ada",
        wait="tunggu|koreksi|ralat|sebenarnya|eh(?=,)|tidak(?=,)|bukan(?=,)", yes="ya", either="atau", sure="yakin"),
    "ms": Cue(answer="jawapan(?:nya)?", option="pilihan|opsyen|kenyataan|huruf", right="betul|tepat|sesuai",
        link="adalah|ialah|iaitu|merupakan", question="soalan", passage="petikan|teks", choose="memilih|pilih",
        so="jadi|oleh itu", but="melainkan|sebaliknya", because="kerana|sebab", both="dan|atau",
        no="tidak|bukan|salah|tiada", condition="sekiranya|jika|kalau", refusal="maaf|tiada (?:jawapan|pilihan)",
        none="tiada",
        wait="pembetulan"),
    "fil": Cue(answer="sagot|kasagutan|tugon", option="pagpipilian|opsyong?|pagpili|titik|letra(?:ng)?",
        right="tama|tamang|wasto|wastong", link="ay|ang", question="tanong|katanungan", passage="talata|teksto",
        choose="pinipili ko|pipiliin ko", so="kaya|samakatuwid", but="kundi", because="dahil|sapagkat|kasi",
        both="at|o", no="hindi|wala(?:ng)?|mali(?:ng)?|maliban|huwag", condition="kung",
        refusal="paumanhin|hindi (?:ko|ako|maaaring|matukoy)|wala(?:ng)? (?:sa|tamang)", none="wala", words="A",
        wait="teka|sandali|sa totoo|hindi(?=,)|hindi pala", yes="oo", sure="sigurado"),
    "fr": Cue(answer="réponse|solution", option="option|choix|lettre|proposition",
        right="correcte?|bonne?|exacte?|juste|adéquate?|meilleure?", link="est donc|est|serait|sera|c'est|doit être",
        question="question", passage="texte|passage|contexte",
        choose="choisis|choisirais|sélectionne|opte pour|il s'agit de|correspond à",
        so="donc|ainsi|par conséquent", but="mais", because="parce|car|puisque", both="et|ou",
        no="ne|n'est|pas|aucune?|incorrecte?|fausse?|faux|sauf", condition="si",
        refusal="désolée?|je ne (?:peux|sais)|impossible de|aucune des", none="aucune?", words="A",
        wait="non(?=[,:])|attends|attendez|pardon|en fait|je me trompe",
        yes="oui", either="ou", sure="sûre?|certaine?"),
    "de": Cue(answer="antwort|lösung", option="option|auswahl|wahl|buchstabe|möglichkeit|antwortmöglichkeit",
        right="richtig(?:e[rns]?)?|korrekt(?:e[rns]?)?|beste|zutreffend(?:e[rns]?)?",
        link="ist|lautet|wäre|muss|ist also|ist daher", question="frage", passage="text|abschnitt|kontext",
        choose="wähle|nehme|entscheide mich für|tippe auf", so="also|daher|somit|deshalb|folglich", but="sondern",
        because="weil|da|denn", both="und|oder|sowie", no="nicht|keine?|keiner|falsch|außer",
        condition="wenn|falls|ob", refusal="leider|kann (?:ich )?nicht|weiß (?:ich )?nicht|keine der", none="keine?",
        wait="nein(?=[,:])|moment|warte|entschuldigung|korrektur", either="oder", sure="sicher"),
    "pt": Cue(answer="resposta|solução|gabarito", option="opção|alternativa|escolha|letra",
        right="corret[ao]|cert[ao]|adequad[ao]|melhor|verdadeir[ao]", link="é|está|seria|será|deve ser",
        question="pergunta|questão", passage="texto|passagem|contexto", chosen="provável|final",
        choose="escolho|escolheria|seleciono|fico com|opto por", so="portanto|logo|assim|então", but="mas sim|mas",
        because="porque|pois|já que", both="e|ou", no="não|nenhum[ao]?|nunca|incorret[ao]|fals[ao]|errad[ao]|exceto",
        condition="se", refusal="desculpe|não (?:posso|sei|é possível|há)|nenhuma das", none="nenhum[ao]?",
        words="AEO",
        wait="não(?=[,:])|desculpe|aliás|na verdade|correção", yes="sim", sure="certeza"),
    "it": Cue(answer="risposta|soluzione", option="opzione|scelta|alternativa|lettera",
        right="corrett[ao]|giust[ao]|esatt[ao]|migliore", link="è|sarebbe|sarà|deve essere", question="domanda",
        passage="testo|brano|contesto", choose="scelgo|sceglierei|seleziono|opto per", so="quindi|dunque|perciò",
        but="ma|bensì", because="perché|poiché|dato", both="e|o|ed|oppure",
        no="non|nessun[ao]?|errat[ao]|sbagliat[ao]|fals[ao]|tranne", condition="se",
        refusal="mi dispiace|non (?:posso|so|è possibile)|nessuna delle", none="nessun[ao]?", words="AEIO",
        wait="aspetta|aspetti|scusa|anzi|in realtà|mi correggo", yes="sì", sure="sicur[oa]"),
    "ro": Cue(answer="răspuns(?:ul)?|soluția", option="opțiunea|varianta|alegerea|litera|opţiunea",
        right="corect[ăa]?|potrivit[ăa]?|bun[ăa]?|adevărat[ăa]?", link="este|e|ar fi|va fi|trebuie să fie",
        question="întrebare|întrebarea", passage="text|textul|pasaj", choose="aleg|aș alege|selectez",
        so="deci|așadar|prin urmare", but="ci", because="deoarece|pentru că|fiindcă", both="și|sau|ori",
        no="nu|niciun[ăa]?|incorect[ăa]?|greșit[ăa]?|fals[ăa]?", condition="dacă",
        refusal="îmi pare rău|nu (?:pot|știu)", none="niciun[ăa]?", words="AEO",
        wait="nu(?=,)|stai|așteaptă|scuze|de fapt|mai exact", either="sau", sure="sigur[ăa]?"),
    "ca": Cue(answer="resposta|solució", option="opció|alternativa|lletra",
        right="correct[ae]|adequad[ae]|encertad[ae]|millor", link="és|seria|serà|ha de ser", question="pregunta",
        passage="text|passatge", choose="trio|escullo|triaria", so="per tant|així", but="sinó",
        because="perquè|ja que|atès", both="i|o", no="no|cap|mai|incorrect[ae]|fals[ae]", condition="si",
        refusal="ho sento|no (?:puc|sé)|cap de les", none="cap", words="AEIO"),
    "gl": Cue(answer="resposta", option="opción|alternativa|letra", right="correct[ao]|axeitad[ao]", link="é|sería",
        question="pregunta", passage="texto", choose="escollo|elixo", no="non|ningunh?a?|incorrect[ao]", words="AEO"),
    "nl": Cue(answer="antwoord|oplossing", option="optie|keuze|letter", right="juiste?|correcte?|goede?|beste",
        link="is dus|is|zou zijn|moet zijn|luidt", question="vraag", passage="tekst|passage",
        choose="kies(?: voor)?|selecteer|ga voor",
        so="dus|daarom", but="maar", because="omdat|want|aangezien", both="en|of", no="niet|geen|fout|onjuiste?",
        condition="als|indien", refusal="sorry|helaas|kan (?:ik )?niet|weet (?:ik )?niet", none="geen",
        wait="nee(?=[,:])|wacht|correctie|eigenlijk", either="of", sure="zeker"),
    "sv": Cue(answer="svaret|svar", option="alternativ(?:et)?|val", right="rätta?|korrekta?|bästa", link="är|blir",
        question="fråga", passage="text", choose="väljer", so="alltså|därför", but="utan", because="eftersom|för att",
        both="och|eller", no="inte|ej|fel|inget|ingen", condition="om",
        refusal="tyvärr|kan (?:jag )?inte|vet (?:jag )?inte",
        wait="nej(?=,)|vänta|egentligen", either="eller", sure="säker"),
    "da": Cue(answer="svaret|svar", option="mulighed(?:en)?|valg", right="rigtige?|korrekte?|bedste",
        link="er|bliver", question="spørgsmål", passage="tekst", choose="vælger", so="altså|derfor", but="men",
        because="fordi", both="og|eller", no="ikke|ingen|forkerte?", condition="hvis",
        refusal="desværre|kan (?:jeg )?ikke", sure="sikker"),
    "no": Cue(answer="svaret|svar", option="alternativ(?:et)?|valg", right="riktige?|korrekte?|beste", link="er|blir",
        question="spørsmål", passage="tekst", choose="velger", so="altså|derfor", but="men", because="fordi",
        both="og|eller", no="ikke|ingen|feil", condition="hvis", refusal="dessverre|kan (?:jeg )?ikke"),
    "fi": Cue(answer="vastaus|vastaukseni", option="vaihtoehto|valinta|kirjain", right="oikea|oikein|paras",
        link="on|olisi", question="kysymys", passage="teksti", choose="valitsen", so="siis|joten", but="vaan",
        because="koska|sillä", both="ja|tai", no="ei|väärä|väärin", condition="jos",
        refusal="valitettavasti|en (?:voi|tiedä)"),
    "et": Cue(answer="vastus", option="variant|valik", right="õige|parim", link="on|oleks", question="küsimus",
        passage="tekst", choose="valin", so="seega", but="vaid", because="sest", both="ja|või", no="ei|vale",
        condition="kui", refusal="kahjuks|ei (?:tea|saa)"),
    "hu": Cue(answer="válasz(?:om)?|megoldás", option="lehetőség|opció|betű", right="helyes|jó|megfelelő|legjobb",
        link="lenne|lesz", question="kérdés", passage="szöveg", choose="választom|választanám", so="tehát|ezért|így",
        but="hanem", because="mert|mivel", both="és|vagy", no="nem|helytelen|hibás|egyik sem", condition="ha",
        refusal="sajnos|nem (?:tudom|lehet)", words="AÓŐ",
        wait="nem(?=,)|várj|várjon|valójában"),
    "pl": Cue(answer="odpowiedź|odpowiedzią|odp", option="opcja|wariant|litera|wybór",
        right="prawidłow[ay]|poprawn[ay]|właściw[ay]|najlepsz[ay]", link="to|jest|brzmi|będzie", question="pytanie",
        passage="tekst|fragment", choose="wybieram", so="więc|zatem|dlatego", but="lecz|ale",
        because="ponieważ|bo|gdyż", both="i|lub|oraz|albo", no="nie|żadn[ay]|błędn[ay]|fałszyw[ay]",
        condition="jeśli|czy", refusal="przepraszam|nie (?:mogę|wiem)", words="AIOUWZ",
        wait="nie(?=,)|czekaj|chwila|poprawka|właściwie", sure="pew(?:ien|na)"),
    "cs": Cue(answer="odpověď", option="možnost|varianta|písmeno", right="správn[áýě]|nejlepší",
        link="je|by byla|zní", question="otázka", passage="text", choose="vybírám|volím", so="takže|proto|tedy",
        but="ale|nýbrž", because="protože|neboť", both="a|nebo|i", no="ne|není|nesprávn[áý]|žádn[áý]",
        condition="pokud|zda|jestli", refusal="bohužel|nemohu|nevím", words="AIKOSUVZ",
        wait="ne(?=,)|počkat|počkej|vlastně"),
    "sk": Cue(answer="odpoveď", option="možnosť|variant", right="správn[ae]|najlepšia", link="je|by bola|znie",
        question="otázka", passage="text", choose="vyberám", so="takže|preto", but="ale", because="pretože|lebo",
        both="a|alebo", no="nie|nesprávn[ae]|žiadn[ae]", condition="ak|či", refusal="bohužiaľ|nemôžem|neviem",
        words="AIKOSUVZ"),
    "sl": Cue(answer="odgovor", option="možnost", right="pravilen|pravilni|pravilna", link="je|bi bil",
        question="vprašanje", passage="besedilo", choose="izberem", so="torej|zato", but="ampak|temveč",
        because="ker", both="in|ali", no="ne|napačen|napačna", condition="če", refusal="žal|ne (?:morem|vem)",
        words="AIOSVZ"),
    "hr": Cue(answer="odgovor", option="opcija|mogućnost", right="točan|točna|ispravan|ispravna|najbolji",
        link="je|bi bio|glasi", question="pitanje", passage="tekst", choose="biram", so="dakle|stoga|zato",
        but="nego|već", because="jer|zato što", both="i|ili", no="nije|ne|netočan|netočna|pogrešan", condition="ako",
        refusal="nažalost|ne (?:mogu|znam)", words="AIOSUK"),
    "lt": Cue(answer="atsakymas", option="variantas|pasirinkimas", right="teisingas|geriausias", link="yra|būtų",
        question="klausimas", passage="tekstas", choose="renkuosi", so="taigi|todėl", but="bet",
        because="nes|kadangi", both="ir|arba", no="ne|nėra|neteisingas", condition="jei",
        refusal="deja|negaliu|nežinau", words="OI"),
    "lv": Cue(answer="atbilde", option="variants|izvēle", right="pareiz[āa]?|labākā", link="ir|būtu",
        question="jautājums", passage="teksts", choose="izvēlos", so="tātad|tāpēc", but="bet", because="jo",
        both="un|vai", no="nav|ne|nepareiz[āa]?", condition="ja", refusal="diemžēl|nevaru|nezinu"),
    "sq": Cue(answer="përgjigjja|përgjigja|përgjigje", option="opsioni|alternativa", right="saktë|e saktë|i saktë",
        link="është|do të ishte", question="pyetja|pyetje", passage="teksti", choose="zgjedh", so="prandaj",
        but="porse", because="sepse", both="dhe|ose", no="nuk|jo|gabim", condition="nëse", refusal="nuk (?:mund|di)",
        words="AEI"),
    "eu": Cue(answer="erantzuna|erantzun", option="aukera", right="zuzena|egokia", link="da|litzateke",
        question="galdera", passage="testua", choose="aukeratzen dut", so="beraz", because="delako", both="eta|edo",
        no="ez|okerra"),
    "ru": Cue(answer="ответ|ответом", option="вариант|выбор|буква|опция",
        right="правильн(?:о|ый|ая|ым)|верн(?:о|ый|ая|ым)|корректн(?:о|ый|ая)|подходит",
        link="это|будет|является|под буквой|вариант", question="вопрос", passage="текст|отрывок|контекст",
        choose="выбираю|выберу", so="следовательно|поэтому|таким образом|итак|значит", but="а",
        because="потому|так как|поскольку", both="и|или", no="не|нет|неверн(?:о|ый|ая)|неправильн(?:о|ый|ая)|ни",
        condition="если|ли", refusal="к сожалению|не (?:могу|знаю)|извините", none="ни один|нет", words="АВИКОСУЯAOC",
        labels="абвгд",
        wait="нет(?=[,:])|погодите|погоди|подождите|подожди|стоп|точнее|вернее|на самом деле|ошибся",
        yes="да", either="или", sure="уверена?"),
    "uk": Cue(answer="відповідь|відповіддю", option="варіант|вибір|літера",
        right="правильн(?:о|ий|а|ою)|вірн(?:о|ий|а)|коректн(?:о|ий|а)", link="це|буде|є",
        question="питання|запитання", passage="текст|уривок", choose="обираю|вибираю", so="отже|тому|таким чином",
        but="а", because="бо|тому що|оскільки", both="і|або|та|й", no="не|ні|неправильн(?:о|ий|а)|невірн(?:о|ий|а)",
        condition="якщо|чи", refusal="на жаль|не (?:можу|знаю)|вибачте", words="АВЗІОУЯAIO", labels="абвгд",
        wait="ні(?=,)|стривайте|стривай|зачекайте|зачекай|насправді|точніше",
        yes="так", either="або", sure="впевнен(?:ий|а)"),
    "bg": Cue(answer="отговор(?:ът)?", option="вариант|опция|буква", right="правилн(?:о|ият|ия|а)|верн(?:о|ият|ия|а)",
        link="е|би бил", question="въпрос", passage="текст", choose="избирам", so="следователно|затова", but="а",
        because="защото|тъй като", both="и|или", no="не|няма|грешн(?:о|а)", condition="ако|дали",
        refusal="за съжаление|не (?:мога|знам)", words="АВИСОУ", labels="абвгд"),
    "sr": Cue(answer="одговор", option="опција|могућност", right="тачан|тачна|исправан", link="је|би био",
        question="питање", passage="текст", choose="бирам", so="дакле|стога", but="него|већ", because="јер",
        both="и|или", no="није|не|нетачан|погрешан", condition="ако", refusal="нажалост|не (?:могу|знам)",
        words="АИКОСУ", labels="абвгд"),
    "be": Cue(answer="адказ", option="варыянт", right="правільны|верны", link="гэта|будзе",
        question="пытанне|пытаньне", passage="тэкст", choose="выбіраю", so="такім чынам", because="бо|таму што",
        both="і|або|ці", no="не|няправільны", condition="калі", words="АУЯІ", labels="абвгд"),
    "el": Cue(answer="απάντηση|απάντησή", option="επιλογή|γράμμα", right="σωστή|σωστό|σωστός|ορθή|ορθό|καλύτερη",
        link="είναι|θα ήταν|πρέπει να είναι", question="ερώτηση", passage="κείμενο|απόσπασμα",
        choose="επιλέγω|διαλέγω", so="άρα|επομένως|συνεπώς|οπότε", but="αλλά", because="επειδή|διότι|γιατί|καθώς",
        both="και|ή", no="δεν|όχι|λάθος|λανθασμένη|καμία|κανένα", condition="αν|εάν",
        refusal="λυπάμαι|δεν (?:μπορώ|ξέρω|γνωρίζω)", none="καμία|κανένα", words="ΗΟ", labels="αβγδε",
        wait="όχι(?=[,:])|περίμενε|περιμένετε|διόρθωση|στην πραγματικότητα",
        yes="ναι", either="ή", sure="σίγουρ(?:ος|η)"),
    "tr": Cue(answer="cevap|cevabı|cevabım|yanıt|yanıtı|yanıtım",
        option="seçenek|seçeneği|seçeneğidir|şık|şıkkı|şıkkıdır|harf", right="doğru|doğrudur|uygun|en iyi",
        link="olmalı|olmalıdır|olacaktır", question="soru", passage="metin|parça", choose="seçiyorum|seçerim",
        so="bu nedenle|dolayısıyla|sonuç olarak|yani", but="aksine", because="çünkü|zira", both="ve|veya|ya da",
        no="değil|değildir|yanlış|yanlıştır|hiçbiri|hariç", condition="eğer",
        refusal="üzgünüm|maalesef|bilmiyorum|yanıtlayamam", none="hiçbiri", words="O",
        wait="hayır(?=,)|bekle|bekleyin|pardon|düzeltme|aslında|daha doğrusu",
        yes="evet", either="veya", sure="emin"),
    "az": Cue(answer="cavab|cavabı", option="variant|variantı|variantıdır", right="düzgün|doğru", link="budur|olacaq",
        question="sual", passage="mətn", choose="seçirəm", so="buna görə", because="çünki", both="və|və ya",
        no="deyil|yanlış|səhv", condition="əgər", words="O"),
    "ja": Cue(answer="答え|解答|回答|正解|正答", option="選択肢|選択|記号",
        right="正しい|正解|適切な?|適当な?|妥当な?|正答",
        link="は|が", question="質問|問題|問", passage="文章|本文|文脈", choose="選びます|選ぶ|選択します|選択する",
        so="したがって|よって|つまり|従って|だから", but="ではなく", because="なぜなら|ため|ので",
        both="と|または|及び|や", no="ない|ません|誤り|間違い|不正解|以外|ではなく", condition="もし|場合|かどうか",
        refusal="わかりません|分かりません|申し訳|できません", labels="アイウエオ",
        wait="いや|待って|訂正|失礼|実は|間違えました", yes="はい", either="または", sure="確信"),
    "ko": Cue(answer="정답|답변|답", option="선택지|보기|옵션|선택",
        right="정답|맞습니다|맞다|옳습니다|옳다|올바른|올바릅니다|적절", link="은|는|이|가", question="질문|문제",
        passage="지문|본문|글", choose="선택합니다|고르겠습니다|선택하겠습니다", so="따라서|그러므로|즉|결국",
        but="아니라|아니고|틀리고", because="왜냐하면|때문", both="와|과|또는|및|혹은",
        no="않|아니|없|틀린|틀렸|틀리|오답|제외",
        condition="만약|만일", refusal="모르겠|죄송|알 수 없", labels="가나다라마",
        wait="아니(?=,)|아니요|잠깐|잠시만|정정|사실은", yes="예", either="또는", sure="확실"),
    "th": Cue(answer="คำตอบ|คำตอบที่ถูกต้อง|ตอบ", option="ตัวเลือก|ข้อ|ตัวอักษร", right="ถูกต้อง|ถูก|เหมาะสม",
        link="คือ|เป็น|ได้แก่|จึง", question="คำถาม|โจทย์", passage="ข้อความ|บทความ", choose="เลือก|คิดว่า",
        so="ดังนั้น|จึง|สรุป", but="แต่เป็น", because="เพราะ|เนื่องจาก", both="และ|หรือ|กับ", no="ไม่|ผิด|ยกเว้น",
        condition="ถ้า|หาก", refusal="ขออภัย|ขอโทษ|ไม่ทราบ|ไม่สามารถ", labels="กขคงจ",
        wait="เดี๋ยว|ขอแก้|จริงๆ แล้ว", yes="ใช่", either="หรือ", sure="แน่ใจ"),
    "ar": Cue(answer="الإجابة|الاجابة|الجواب|إجابة|جواب|فالإجابة|فالجواب|والإجابة", option="الخيار|خيار|الاختيار|الحرف",
        right="الصحيحة|الصحيح|صحيحة|صحيح|الأنسب|الأصح|الأفضل", link="هي|هو|تكون|يكون", question="السؤال|سؤال",
        passage="النص|الفقرة|المقطع", choose="أختار|اختار|سأختار", so="لذلك|إذن|إذًا|وبالتالي|بالتالي|لذا|ومن ثم",
        but="بل|ولكن|لكن", because="لأن|لأنه|لأنها|حيث|بسبب", both="و|أو", no="ليس|ليست|لا|غير|خاطئ|خاطئة|خطأ|لم|لن",
        condition="إذا|لو|إن", refusal="آسف|عذرا|عذرًا|لا (?:أعرف|أستطيع|يمكنني)", none="لا شيء|لا يوجد",
        labels="أبجده",
        wait="لا(?=,)|انتظر|عفوا|عفوًا|تصحيح|في الواقع|بالأحرى", yes="نعم", either="أو", sure=r"متأكد\w*|مطمئن\w*"),
    "fa": Cue(answer="پاسخ|جواب", option="گزینه|گزینهٔ|گزینه‌ی|حرف", right="صحیح|درست|مناسب",
        link="است|می باشد|می‌باشد|عبارت است از", question="سؤال|سوال|پرسش", passage="متن",
        choose="انتخاب می کنم|انتخاب می‌کنم", so="بنابراین|پس|در نتیجه", but="بلکه", because="زیرا|چون|چرا که",
        both="و|یا", no="نیست|نه|غلط|نادرست|اشتباه|هیچ", condition="اگر", refusal="متأسفم|متاسفم|نمی دانم|نمی‌دانم",
        labels="ابجده",
        wait="نه(?=,)|صبر کن|صبر کنید|تصحیح|در واقع|ببخشید", yes="بله", either="یا", sure=r"مطمئن\w*"),
    "ur": Cue(answer="جواب", option="آپشن|اختیار", right="صحیح|درست", link="یہ ہے|ہے", question="سوال",
        passage="متن|عبارت", choose="منتخب کرتا ہوں", so="لہذا|اس لیے", because="کیونکہ", both="اور|یا",
        no="نہیں|غلط", condition="اگر", refusal="معذرت|نہیں (?:جانتا|معلوم)", either="یا"),
    "he": Cue(answer="התשובה|שהתשובה|תשובה|תשובתי", option="האפשרות|אפשרות|אופציה|האות|סעיף",
        right="הנכונה|נכונה|נכון|הנכון|המתאימה|הטובה ביותר", link="היא|הוא|הינה|תהיה", question="שאלה|השאלה",
        passage="טקסט|קטע|הקטע", choose="אני בוחר|אני בוחרת|אבחר", so="לכן|אם כן|לפיכך", but="אלא",
        because="כי|מפני|משום", both="ו|או", no="לא|אינה|אינו|שגויה|שגוי|אין", condition="אם",
        refusal="מצטער|מצטערת|לא (?:יודע|יכול)", labels="אבגדה",
        wait="לא(?=,)|רגע|חכה|סליחה|תיקון|בעצם|למעשה", yes="כן", either="או", sure=r"בטוח\w*"),
    "hi": Cue(answer="उत्तर|जवाब", option="विकल्प", right="सही|उचित|उपयुक्त|सर्वोत्तम", link="है|होगा|यह है",
        question="प्रश्न|सवाल", passage="अनुच्छेद|गद्यांश|पाठ", choose="चुनता हूँ|चुनती हूँ|चुनूंगा",
        so="इसलिए|अतः|अत:", but="बल्कि", because="क्योंकि", both="और|या|तथा", no="नहीं|गलत|ग़लत|न",
        condition="यदि|अगर", refusal="क्षमा|माफ़|पता नहीं|नहीं (?:जानता|बता)", labels="कखगघङ",
        wait="नहीं(?=,)|रुकिए|रुको|सुधार|वास्तव में|दरअसल", yes="हाँ", either="या", sure="यकीन"),
    "bn": Cue(answer="উত্তর|জবাব|উত্তরটি", option="বিকল্প|অপশন|বিকল্পটি", right="সঠিক|যথাযথ|উপযুক্ত",
        link="হল|হলো|হচ্ছে|হবে", question="প্রশ্ন", passage="অনুচ্ছেদ|পাঠ্য", choose="বেছে নিচ্ছি|নির্বাচন করছি",
        so="তাই|অতএব|সুতরাং", but="বরং", because="কারণ", both="এবং|বা|ও|অথবা", no="না|নয়|ভুল|নেই", condition="যদি",
        refusal="দুঃখিত|জানি না", labels="কখগঘঙ",
        wait="না(?=,)|দাঁড়ান|সংশোধন|আসলে", yes="হ্যাঁ", either="বা", sure="নিশ্চিত"),
    "ta": Cue(answer="பதில்|விடை", option="விருப்பம்|தேர்வு", right="சரியான|சரி|சரியானது|பொருத்தமான",
        link="என்பது|ஆகும்", question="கேள்வி|வினா", passage="பத்தி|உரை",
        choose="தேர்வு செய்கிறேன்|தேர்ந்தெடுக்கிறேன்", so="எனவே|ஆகவே", but="மாறாக", because="ஏனெனில்|ஏனென்றால்",
        both="மற்றும்|அல்லது", no="இல்லை|தவறு|தவறான|அல்ல", condition="என்றால்",
        refusal="மன்னிக்கவும்|தெரியாது|தெரியவில்லை", labels="அஆஇஈஉ",
        wait="இல்லை(?=,)|பொறு|பொறுங்கள்|திருத்தம்|உண்மையில்", yes="ஆம்", either="அல்லது", sure=r"உறுதி\S*"),
    "te": Cue(answer="సమాధానం|జవాబు", option="ఎంపిక", right="సరైన|సరైనది", link="అవుతుంది", question="ప్రశ్న",
        passage="పాఠ్యం", so="కాబట్టి", because="ఎందుకంటే", both="మరియు|లేదా", no="కాదు|తప్పు"),
    "mr": Cue(answer="उत्तर", option="पर्याय", right="बरोबर|योग्य|अचूक", link="आहे|असेल", question="प्रश्न",
        passage="उतारा", so="म्हणून", because="कारण", both="आणि|किंवा", no="नाही|चुकीचे|चूक", labels="कखगघङ"),
    "sw": Cue(answer="jibu|jawabu", option="chaguo|herufi", right="sahihi|jibu sahihi|bora",
        link="(?<!odgovor )ni|litakuwa", question="swali", passage="kifungu|maandishi", choose="nachagua|ninachagua",
        so="hivyo|kwa hiyo|basi", but="bali", because="kwa sababu|kwani", both="na|au",
        no="si|siyo|sio|hapana|sivyo|makosa|hakuna", condition="kama|ikiwa", refusal="samahani|sijui|siwezi",
        none="hakuna",
        wait="hapana(?=,)|subiri|ngoja|kwa kweli", yes="ndiyo", either="au", sure="uhakika"),
    "ka": Cue(answer="პასუხი|პასუხია", option="ვარიანტი", right="სწორი|სწორია", link="არის|იქნება", question="კითხვა",
        passage="ტექსტი", both="და|ან", no="არა|არასწორი|არ", labels="აბგდე"),
    "hy": Cue(answer="պատասխանը|պատասխան", option="տարբերակը|տարբերակ", right="ճիշտ", link="է|կլինի",
        question="հարցը|հարց", passage="տեքստ", both="և|կամ", no="ոչ|սխալ|չէ", labels="աբգդե"),
}
# fmt: on

VERB_FINAL = tuple("zh ja ko hi bn ta te mr tr az ur fa ar th ka hy eu hu".split())  # noqa: SIM905
"""Languages that may put the verb, or nothing, after the option: "정답은 B입니다", "الإجابة الصحيحة ب"."""

NO_COPULA = (*(code for code in VERB_FINAL if code not in ("hu", "eu")), "id", "ms", "vi", "he", "ru", "uk", "be")
"""Languages in which "B is correct" may have no verb."""
